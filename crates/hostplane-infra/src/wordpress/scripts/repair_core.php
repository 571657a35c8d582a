// Lays the image's core over one of the same version that an interrupted update left as a mixture. What is replaced is
// kept in a directory of its own, which nginx never serves.
$lock = fopen(HOSTPLANE_UPDATE, 'c') ?: hostplane_fail('no lock file');
if (!flock($lock, LOCK_EX | LOCK_NB)) {
    hostplane_fail('an update runs');
}
$core = hostplane_core();
if ($core === null || !hostplane_has_source($core)) {
    hostplane_answer('no source');
}
// Its owner may have ended the update meanwhile, and then what differs is his.
if (hostplane_interrupted($core) !== 'core') {
    hostplane_answer('laid');
}
umask(0022);
$kept = HOSTPLANE_ROOT . '/.hostplane-replaced-' . gmdate('Ymd\THis\Z');
foreach (hostplane_differing($core) as $file) {
    is_dir(dirname("$kept/$file")) || mkdir(dirname("$kept/$file"), 0755, true);
    copy("$core/$file", "$kept/$file") || hostplane_fail("can't keep $file");
    hostplane_write("$core/$file", (string) file_get_contents(HOSTPLANE_SOURCE . "/$file"));
}
if (hostplane_maintenance($core) !== null) {
    unlink($core . '/.maintenance');
}
ftruncate($lock, 0);
hostplane_answer('laid');
