// Prints whose WordPress is unpacked and whose is installed. None of the site's own code is loaded.
$facts = ['unpacked' => hostplane_marker(), 'installed' => null];
require '/etc/hostplane/wp-config.php';
$db = hostplane_connect();
$tables = $db->query("SHOW TABLES LIKE 'wp\\_options'");
if ($tables->num_rows > 0) {
    $rows = $db->query("SELECT LEFT(option_value, 64) FROM wp_options WHERE option_name = 'hostplane_installed'");
    $row = $rows->fetch_row();
    $facts['installed'] = $row === null ? null : $row[0];
}
hostplane_answer($facts);
