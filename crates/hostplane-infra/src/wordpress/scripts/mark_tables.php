// Marks the tables of a site in service again, if WordPress's are there.
require '/etc/hostplane/wp-config.php';
$db = hostplane_connect();
$options = hostplane_options($db);
if (!$options) {
    hostplane_answer('nothing');
}
$marker = $db->prepare("INSERT INTO `$options` (option_name, option_value, autoload)
    VALUES ('hostplane_installed', ?, 'off') ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)");
$marker->execute([$in['site']]);
hostplane_answer('marked');
