//! The part of a site's hooks that answers signed questions. The other half is [`crate::probe_key`].

/// Runs before anything of WordPress. It answers before plugins and theme can, and again when the request ends, however
/// it ends. A question of the modes `admin` and `reset` is taken once: its nonce is kept until its time is over.
pub(super) const PROBE: &str = r#"
// A signed question of Hostplane's is answered before plugins and theme can answer otherwise. What isn't signed, or was
// asked before, gets 404.
( static function () {
	$asked = $_SERVER['HTTP_X_HOSTPLANE_PROBE'] ?? '';
	unset( $_SERVER['HTTP_X_HOSTPLANE_PROBE'] );
	if ( 'cli' === PHP_SAPI || '' === $asked ) {
		return;
	}
	$refuse = static function () {
		http_response_code( 404 );
		header( 'Cache-Control: no-store' );
		exit;
	};
	if ( ! preg_match( '/\A1:(alive|page|admin|reset):([0-9]{10}):([0-9a-f]{32}):([0-9a-f]{128})\z/', $asked, $parts ) ) {
		$refuse();
	}
	list( , $mode, $at, $nonce, $signature ) = $parts;
	$server = static function ( $name ) {
		return $_SERVER[ $name ] ?? '';
	};
	$signed = array( 'hostplane-probe-1', HOSTPLANE_SITE, $mode, $at, $nonce, 'GET', $server( 'HTTP_HOST' ), $server( 'REQUEST_URI' ) );
	if ( 'GET' !== $server( 'REQUEST_METHOD' ) || abs( time() - (int) $at ) > 60
		|| ! sodium_crypto_sign_verify_detached( hex2bin( $signature ), implode( "\n", $signed ), hex2bin( HOSTPLANE_PROBE_KEY ) ) ) {
		$refuse();
	}
	if ( 'admin' === $mode || 'reset' === $mode ) {
		$spent = '/tmp/hostplane-probe';
		if ( ! is_dir( $spent ) ) {
			@mkdir( $spent, 0700 );
		}
		foreach ( glob( "$spent/*" ) ?: array() as $old ) {
			if ( @filemtime( $old ) < time() - 180 ) {
				@unlink( $old );
			}
		}
		if ( ! @fopen( "$spent/$nonce", 'x' ) ) {
			$refuse();
		}
	}
	$answer = static function ( $health ) {
		header_remove();
		http_response_code( 200 );
		header( 'Content-Type: application/json' );
		header( 'Cache-Control: no-store' );
		echo json_encode( $health, JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES );
	};
	if ( 'reset' === $mode ) {
		$answer( array( 'v' => 1, 'nonce' => $nonce, 'reset' => opcache_reset() ) );
		exit;
	}

	$stage  = 'config';
	$outer  = ob_get_level();
	$health = static function () use ( &$stage, $nonce ) {
		global $wpdb, $wp_version;
		$error = error_get_last();
		$ends  = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
		$found = array(
			'v'         => 1,
			'nonce'     => $nonce,
			'stage'     => $stage,
			'status'    => http_response_code(),
			'database'  => $wpdb instanceof wpdb && $wpdb->ready && ! empty( $wpdb->dbh ),
			'wordpress' => $wp_version ?? null,
			'php'       => PHP_VERSION,
			'fatal'     => null,
			'location'  => null,
		);
		if ( $error && ( $error['type'] & $ends ) ) {
			$found['fatal'] = array( 'file' => str_replace( '/var/www/html/', '', $error['file'] ), 'line' => $error['line'] );
		}
		foreach ( headers_list() as $header ) {
			if ( 0 === stripos( $header, 'location:' ) ) {
				$found['location'] = trim( substr( $header, 9 ) );
			}
		}
		return $found;
	};
	$end = static function () use ( $mode, $outer, $health, $answer ) {
		static $ended = false;
		if ( $ended ) {
			return;
		}
		$ended = true;
		$page  = '';
		while ( ob_get_level() > $outer ) {
			$page = ob_get_clean() . $page;
		}
		$found = $health();
		if ( 'alive' === $mode ) {
			$answer( $found );
		} else {
			header( 'Cache-Control: no-store' );
			header( 'X-Hostplane-Page: ' . base64_encode( json_encode( $found, JSON_INVALID_UTF8_SUBSTITUTE ) ) );
			if ( null !== $found['fatal'] ) {
				http_response_code( 500 );
			}
			echo $page;
		}
		// No later shutdown function runs: WordPress sends no mail about an error that Hostplane asked for.
		exit;
	};
	ob_start();
	register_shutdown_function( $end );

	$add = static function ( $hook, $takes, $function ) {
		$GLOBALS['wp_filter'][ $hook ][ PHP_INT_MAX ][] = array( 'accepted_args' => $takes, 'function' => $function );
	};
	foreach ( array( 'muplugins_loaded', 'plugins_loaded', 'after_setup_theme', 'init', 'wp_loaded' ) as $hook ) {
		$add(
			$hook,
			0,
			static function () use ( $hook, $mode, $end, &$stage ) {
				$stage = $hook;
				if ( 'wp_loaded' === $hook && 'alive' === $mode ) {
					$end();
				}
			}
		);
	}
	if ( 'alive' === $mode ) {
		// Neither WordPress's own maintenance page nor a cache of whole pages is WordPress.
		$never = static function () {
			return false;
		};
		$add( 'enable_maintenance_mode', 0, $never );
		$add( 'enable_loading_advanced_cache_dropin', 0, $never );
	}
	if ( 'admin' === $mode ) {
		$add(
			'determine_current_user',
			0,
			static function () {
				global $wpdb;
				static $first = null;
				if ( null === $first ) {
					$first = (int) $wpdb->get_var(
						$wpdb->prepare(
							"SELECT user_id FROM $wpdb->usermeta WHERE meta_key = %s AND meta_value LIKE %s ORDER BY user_id LIMIT 1",
							$wpdb->get_blog_prefix() . 'capabilities',
							'%"administrator"%'
						)
					);
				}
				return $first;
			}
		);
		// WordPress's own would ask for a log-in.
		function auth_redirect() {}
	}
} )();
"#;
