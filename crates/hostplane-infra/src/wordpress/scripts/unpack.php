// Copies WordPress from the image into the site's empty volume. The marker is written last: without it
// the next run copies everything again.
// An exec outlives its client, so an earlier run may still be copying.
$lock = fopen('/tmp/hostplane-unpack.lock', 'c') ?: hostplane_fail('no lock file');
flock($lock, LOCK_EX);

$found = hostplane_marker();
if ($found !== null) {
    hostplane_answer($found === $in['site'] ? 'unpacked' : 'another');
}

function copy_tree($from, $to) {
    foreach (new DirectoryIterator($from) as $entry) {
        if ($entry->isDot()) {
            continue;
        }
        $target = $to . '/' . $entry->getFilename();
        if ($entry->isDir()) {
            if (!is_dir($target)) {
                mkdir($target, 0755);
            }
            copy_tree($entry->getPathname(), $target);
        } elseif (!copy($entry->getPathname(), $target)) {
            hostplane_fail('can\'t copy ' . $target);
        }
    }
}

umask(0022);
copy_tree('/usr/src/wordpress', HOSTPLANE_ROOT);
hostplane_write(HOSTPLANE_ROOT . '/wp-config.php', $in['wp_config']);
hostplane_write(HOSTPLANE_ROOT . '/.hostplane-site', $in['site'] . "\n");
hostplane_answer('unpacked');
