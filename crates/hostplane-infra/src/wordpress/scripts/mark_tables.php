// Marks the tables of a site in service again, if WordPress's are there.
require '/etc/hostplane/wp-config.php';
$db = hostplane_connect();
$options = hostplane_options($db);
if (!$options) {
    hostplane_answer('nothing');
}
// The table may have lost its unique key by an import.
$update = $db->prepare("UPDATE `$options` SET option_value = ? WHERE option_name = 'hostplane_installed'");
$update->execute([$in['site']]);
if ($db->query("SELECT 1 FROM `$options` WHERE option_name = 'hostplane_installed' LIMIT 1")->num_rows === 0) {
    $insert = $db->prepare("INSERT INTO `$options` (option_name, option_value, autoload)
        VALUES ('hostplane_installed', ?, 'off')");
    $insert->execute([$in['site']]);
}
hostplane_answer('marked');
