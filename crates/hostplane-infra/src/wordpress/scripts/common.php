<?php
// Sent on standard input to `php` inside the site's container, so that nothing secret is in an argument
// or a file. The answer is the last line of standard output that begins with a token.
error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
// A stack trace must not show the password that a function was called with.
ini_set('zend.exception_ignore_args', '1');
set_time_limit(0);
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

const HOSTPLANE_ROOT = '/var/www/html';
const HOSTPLANE_UPDATE = '/tmp/hostplane-update.lock';
const HOSTPLANE_HOLD = '/tmp/hostplane-update.hold';

function hostplane_answer($value) {
    global $in;
    echo "\n", $in['token'], json_encode($value), "\n";
    exit(0);
}

function hostplane_fail($why) {
    fwrite(STDERR, $why . "\n");
    exit(70);
}

// What a file says, at most. Null without one: what isn't a file might never end.
function hostplane_read($path, $bytes) {
    $found = is_file($path) ? @file_get_contents($path, false, null, 0, $bytes) : false;
    return $found === false ? null : $found;
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
    $found = hostplane_read(HOSTPLANE_ROOT . '/.hostplane-site', 64);
    $found = $found === null ? null : trim($found);
    // It is the owner's to write, and anything may be in it.
    return $found === null || preg_match('/^[0-9a-f-]{36}$/', $found) ? $found : '';
}

// Writes a file whole or not at all.
function hostplane_write($path, $contents) {
    $temporary = $path . '.new';
    // What another run, or the owner, has left there may be a pipe or a link.
    @unlink($temporary);
    $file = fopen($temporary, 'x') ?: hostplane_fail('can\'t write ' . $temporary);
    if (fwrite($file, $contents) !== strlen($contents) || !fsync($file) || !fclose($file)) {
        hostplane_fail('can\'t write ' . $temporary);
    }
    rename($temporary, $path) || hostplane_fail('can\'t rename ' . $temporary);
}

// The directory of WordPress's core: the site's own, or one in it. Null without one.
function hostplane_core() {
    $found = array_merge([HOSTPLANE_ROOT . '/wp-includes/version.php'],
        glob(HOSTPLANE_ROOT . '/*/wp-includes/version.php') ?: []);
    foreach ($found as $version) {
        if (is_file($version)) {
            return dirname($version, 2);
        }
    }
    return null;
}

// True when nothing of the owner's is in the root of the files. A root that can't be read isn't empty.
function hostplane_is_empty() {
    $found = @scandir(HOSTPLANE_ROOT);
    return $found !== false && preg_grep('/^(\.|\.\.|lost\+found|\.hostplane-.*)$/', $found, PREG_GREP_INVERT) === [];
}

// The version that a core says it is. Its text is read and never run.
function hostplane_version($core) {
    $text = (string) hostplane_read($core . '/wp-includes/version.php', 65536);
    return preg_match('/^\$wp_version\s*=\s*\'([0-9A-Za-z.+-]{1,32})\'/m', $text, $match) ? $match[1] : null;
}

// True while an update of core, of a plugin or of a theme runs: each holds this lock until its process ends.
function hostplane_is_updating() {
    $lock = is_file(HOSTPLANE_UPDATE) ? @fopen(HOSTPLANE_UPDATE, 'r') : false;
    return $lock !== false && !flock($lock, LOCK_EX | LOCK_NB);
}

// The prefix of the site's tables. Its own configuration is read and never run.
function hostplane_prefix() {
    $text = (string) hostplane_read(HOSTPLANE_ROOT . '/wp-config.php', 65536);
    $found = preg_match_all('/^\s*\$table_prefix\s*=\s*[\'"](\w{1,40})[\'"]\s*;/m', $text, $matches);
    return $found ? end($matches[1]) : 'wp_';
}

// The site's table of options: its name, '' when other tables are there, null without any table.
function hostplane_options($db) {
    $tables = array_column($db->query('SHOW TABLES')->fetch_all(), 0);
    $options = hostplane_prefix() . 'options';
    if (in_array($options, $tables, true)) {
        $columns = array_column($db->query("SHOW COLUMNS FROM `$options`")->fetch_all(), 0);
        // Another program may have a table of that name.
        return array_diff(['option_name', 'option_value', 'autoload'], $columns) === [] ? $options : '';
    }
    return $tables === [] ? null : '';
}
