// Compares a core with that of the image. Part of other scripts.
const HOSTPLANE_SOURCE = '/usr/src/wordpress';

// The files of the image's core, below its root. Plugins, themes and the configuration are the owner's.
function hostplane_source_files() {
    $files = [];
    $root = new RecursiveDirectoryIterator(HOSTPLANE_SOURCE, FilesystemIterator::SKIP_DOTS);
    $own = new RecursiveCallbackFilterIterator($root, static function ($entry) {
        return !in_array($entry->getPathname(),
            [HOSTPLANE_SOURCE . '/wp-content', HOSTPLANE_SOURCE . '/wp-config.php'], true);
    });
    foreach (new RecursiveIteratorIterator($own) as $entry) {
        $files[] = substr($entry->getPathname(), strlen(HOSTPLANE_SOURCE) + 1);
    }
    return $files;
}

// True when the image has the core that this one says it is.
function hostplane_has_source($core) {
    $version = hostplane_version($core);
    return $version !== null && $version === hostplane_version(HOSTPLANE_SOURCE);
}

// The files of a core that are not those of the image. Those that the owner has removed are his.
function hostplane_differing($core) {
    return array_values(array_filter(hostplane_source_files(), static function ($file) use ($core) {
        return is_file("$core/$file") && !is_link("$core/$file")
            && @hash_file('xxh128', "$core/$file") !== hash_file('xxh128', HOSTPLANE_SOURCE . "/$file");
    }));
}

// The time at which WordPress began its maintenance, if its file says one. Its text is read and never run.
function hostplane_maintenance($core) {
    $text = (string) hostplane_read($core . '/.maintenance', 1024);
    return preg_match('/^<\?php\s+\$upgrading\s*=\s*(\d{1,12})\s*;/', $text, $match) ? (int) $match[1] : null;
}

// The state of updates: 'running', or what an interrupted one has left.
function hostplane_update($core) {
    return hostplane_is_updating() ? 'running' : hostplane_interrupted($core);
}

// What an interrupted update has left: 'none' without one, 'core' for a mixture of cores that the image can make whole,
// 'other' for one that it can't, or when something else was updated.
function hostplane_interrupted($core) {
    $began = $core === null ? null : hostplane_maintenance($core);
    // WordPress itself ignores the file after ten minutes.
    $stale = $began !== null && time() - $began > 600;
    $ended = (string) hostplane_read(HOSTPLANE_UPDATE, 64);
    if (!$stale && $ended === '') {
        return 'none';
    }
    // A plugin's or a theme's leaves core alone.
    return $ended !== 'other' && $core !== null && hostplane_has_source($core) && hostplane_differing($core) !== [] ? 'core' : 'other';
}
