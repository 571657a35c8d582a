// Keeps updates from beginning, and prints whether it does: not while one runs. An updater takes its lock first and
// asks for this file then, and here it is the other way round, so that one of both sees the other.
touch(HOSTPLANE_HOLD) || hostplane_fail('can\'t write ' . HOSTPLANE_HOLD);
$holds = !hostplane_is_updating();
$holds || unlink(HOSTPLANE_HOLD);
hostplane_answer($holds);
