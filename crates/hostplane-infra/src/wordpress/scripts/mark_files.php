// Marks the files of a site in service again, if WordPress is there.
if (hostplane_core() === null) {
    hostplane_answer('nothing');
}
hostplane_write(HOSTPLANE_ROOT . '/.hostplane-site', $in['site'] . "\n");
hostplane_answer('marked');
