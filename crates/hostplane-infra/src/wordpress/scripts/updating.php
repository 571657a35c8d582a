// Prints whether an update runs.
hostplane_answer(hostplane_is_updating());
