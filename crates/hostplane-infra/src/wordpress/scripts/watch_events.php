// Starts a run of due events and ends it when it takes too long: soon, but not while an update runs. One run at a time:
// an exec outlives its client.
$lock = fopen('/tmp/hostplane-events.lock', 'ce') ?: hostplane_fail('no lock file');
if (!flock($lock, LOCK_EX | LOCK_NB)) {
    hostplane_answer('running');
}
// The other descriptors are this process's own.
$run = proc_open(['php'], [['pipe', 'r']], $pipes) ?: hostplane_fail('php can\'t be started');
fwrite($pipes[0], $in['script']);
fclose($pipes[0]);
// An event's time begins again when an update has ended: WordPress has something to do after it.
$began = $updated = hrtime(true);
$signals = [15, 9];
while (($status = proc_get_status($run))['running']) {
    $now = hrtime(true);
    if (hostplane_is_updating()) {
        $updated = $now;
    }
    $limit = null;
    if ($now - $updated > $in['event_seconds'] * 1e9) {
        $limit = $in['event_seconds'];
    } elseif ($now - $began > $in['update_seconds'] * 1e9) {
        $limit = $in['update_seconds'];
    }
    if ($limit !== null && $signals !== []) {
        $signal = array_shift($signals);
        fwrite(STDERR, "ended after {$limit} s\n");
        proc_terminate($run, $signal);
        // Time for what WordPress does at its end, before the next signal.
        $began = $updated = hrtime(true);
        $in['event_seconds'] = $in['update_seconds'] = 10;
    }
    usleep(20000);
}
exit($status['signaled'] ? 128 + $status['termsig'] : $status['exitcode']);
