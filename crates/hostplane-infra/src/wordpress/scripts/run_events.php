// Runs the events that are due, as a request to wp-cron.php would. The watcher ends it, and asks first.
if (function_exists('pcntl_signal')) {
    pcntl_async_signals(true);
    pcntl_signal(SIGTERM, static function () {
        define('HOSTPLANE_TERMINATED', true);
        exit(143);
    });
}
ini_set('memory_limit', $in['memory']);
foreach (['HTTP_HOST' => $in['authority'], 'REQUEST_URI' => '/wp-cron.php', 'REQUEST_METHOD' => 'GET',
    'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1', 'SERVER_NAME' => $in['host']] as $key => $value) {
    $_SERVER[$key] = $value;
}
// WordPress ends the process by itself, and so may any event.
$token = $in['token'];
$end = static function () use ($token) {
    // Without its database, or in maintenance, it ends early and as if nothing were the matter.
    if (!function_exists('did_action') || !did_action('wp_loaded')) {
        fwrite(STDERR, "WordPress was not loaded\n");
        exit(70);
    }
    if (!defined('HOSTPLANE_TERMINATED')) {
        echo "\n", $token, json_encode('ran'), "\n";
    }
};
// The last of all: what WordPress and its plugins do at the end comes before.
register_shutdown_function(static function () use ($end) {
    register_shutdown_function($end);
});
chdir('/var/www/html');
require '/var/www/html/wp-cron.php';
