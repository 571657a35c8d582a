// Installs WordPress unattended. The option that says so is written last, under a lock that ends with
// this process's connection. A run that was killed left the table `hostplane_installing` behind, and
// only then are its tables dropped: they have never been served.
require '/etc/hostplane/wp-config.php';
$db = hostplane_connect();
// Locks are the server's, so any tenant could hold one whose name it can guess.
$lock = 'hostplane_install_' . substr(hash('sha256', DB_PASSWORD), 0, 40);
$locked = $db->query("SELECT GET_LOCK('$lock', 60)")->fetch_row();
if ((int) $locked[0] !== 1) {
    hostplane_fail('another installer is running');
}

$tables = array_column($db->query('SHOW TABLES')->fetch_all(), 0);
if (in_array('wp_options', $tables, true)) {
    $rows = $db->query("SELECT option_value FROM wp_options WHERE option_name = 'hostplane_installed'");
    $row = $rows->fetch_row();
    if ($row !== null) {
        if ($row[0] !== $in['site']) {
            hostplane_answer('another');
        }
        $db->query('DROP TABLE IF EXISTS hostplane_installing');
        hostplane_answer('installed');
    }
}
$broke_off = in_array('hostplane_installing', $tables, true);
if (!$broke_off && $tables !== []) {
    hostplane_answer('occupied');
}
if (hostplane_marker() !== $in['site']) {
    hostplane_fail('WordPress is not unpacked');
}
if ($broke_off) {
    $db->query('SET FOREIGN_KEY_CHECKS = 0');
    foreach ($tables as $table) {
        if ($table !== 'hostplane_installing') {
            $db->query('DROP TABLE `' . str_replace('`', '``', $table) . '`');
        }
    }
} else {
    $db->query('CREATE TABLE hostplane_installing (since TIMESTAMP DEFAULT CURRENT_TIMESTAMP)');
}

// The file is the site's own stub, which loads the same settings again.
foreach (['HTTP_HOST' => $in['authority'], 'REQUEST_URI' => '/', 'REQUEST_METHOD' => 'GET',
    'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1', 'SERVER_NAME' => $in['host']] as $key => $value) {
    $_SERVER[$key] = $value;
}
define('WP_INSTALLING', true);
define('ABSPATH', '/var/www/html/');
// WordPress's own would mail the password's whereabouts; there is nothing to send mail with.
function wp_new_blog_notification($title, $url, $user, $password) {}
require ABSPATH . 'wp-settings.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

wp_install($in['title'], $in['user'], $in['email'], true, '', $in['password']);
$user = get_user_by('login', $in['user']);
if (!$user || !user_can($user, 'manage_options')) {
    hostplane_fail('no administrator after the installation');
}
// WordPress tries this by a request to itself, which fails where the site's name doesn't lead to it.
$wp_rewrite->init();
$wp_rewrite->set_permalink_structure('/%year%/%monthnum%/%day%/%postname%/');
$wp_rewrite->flush_rules(false);
update_option('hostplane_installed', $in['site'], false);
if (get_option('hostplane_installed') !== $in['site']) {
    hostplane_fail('the marker was not written');
}
$db->query('DROP TABLE hostplane_installing');
hostplane_answer('installed');
