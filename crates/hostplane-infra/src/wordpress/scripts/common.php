<?php
// Sent on standard input to `php` inside the site's container, so that nothing secret is in an argument
// or a file. The answer is the last line of standard output that begins with a token.
error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
// A stack trace must not show the password that a function was called with.
ini_set('zend.exception_ignore_args', '1');
set_time_limit(0);
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

function hostplane_answer($value) {
    global $in;
    echo "\n", $in['token'], json_encode($value), "\n";
    exit(0);
}

function hostplane_fail($why) {
    fwrite(STDERR, $why . "\n");
    exit(70);
}

function hostplane_connect() {
    [$host, $port] = array_pad(explode(':', DB_HOST, 2), 2, 3306);
    $db = mysqli_init();
    $db->options(MYSQLI_OPT_CONNECT_TIMEOUT, 5);
    $db->real_connect($host, DB_USER, DB_PASSWORD, DB_NAME, (int) $port);
    return $db;
}

// What the marker of the files says, at most; null without one.
function hostplane_marker() {
    $found = @file_get_contents('/var/www/html/.hostplane-site', false, null, 0, 64);
    return $found === false ? null : trim($found);
}
