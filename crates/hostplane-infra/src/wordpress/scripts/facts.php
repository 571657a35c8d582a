// Prints what of WordPress is there. None of the site's own code is loaded.
$core = hostplane_core();
$facts = [
    'unpacked' => hostplane_marker(),
    'core' => $core === null ? null : (hostplane_version($core) ?? 'unknown'),
    'empty' => hostplane_is_empty(),
    'writable' => is_writable(HOSTPLANE_ROOT),
    'update' => hostplane_update($core),
    'installed' => null,
    'tables' => 'nothing',
];
require '/etc/hostplane/wp-config.php';
$db = hostplane_connect();
$options = hostplane_options($db);
$facts['tables'] = match ($options) { null => 'nothing', '' => 'other', default => 'wordpress' };
if ($options) {
    $rows = $db->query("SELECT LEFT(option_value, 64) FROM `$options` WHERE option_name = 'hostplane_installed'");
    $row = $rows->fetch_row();
    $facts['installed'] = preg_match('/^[0-9a-f-]{36}$/', $row[0] ?? '') ? $row[0] : null;
}
hostplane_answer($facts);
