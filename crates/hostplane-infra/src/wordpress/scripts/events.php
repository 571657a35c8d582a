// Runs the events that are due, as a request to wp-cron.php would. One run at a time: an exec outlives its client.
$lock = fopen('/tmp/hostplane-events.lock', 'c') ?: hostplane_fail('no lock file');
if (!flock($lock, LOCK_EX | LOCK_NB)) {
    hostplane_answer('running');
}
ini_set('memory_limit', $in['memory']);
foreach (['HTTP_HOST' => $in['authority'], 'REQUEST_URI' => '/wp-cron.php', 'REQUEST_METHOD' => 'GET',
    'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1', 'SERVER_NAME' => $in['host']] as $key => $value) {
    $_SERVER[$key] = $value;
}
// WordPress ends the process by itself, and so may any event.
$token = $in['token'];
register_shutdown_function(static function () use ($token) {
    // Without its database, or in maintenance, it ends early and as if nothing were the matter.
    if (!function_exists('did_action') || !did_action('wp_loaded')) {
        fwrite(STDERR, "WordPress was not loaded\n");
        exit(70);
    }
    echo "\n", $token, json_encode('ran'), "\n";
});
chdir('/var/www/html');
require '/var/www/html/wp-cron.php';
