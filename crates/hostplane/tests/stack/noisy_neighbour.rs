//! A site that takes all that it can get: processes, memory, connections, workers, the disk under its log. Another
//! site, the control plane and MariaDB go on all the while.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::datagrams::{Flood, packets};
use crate::docker::{docker, inspect};
use crate::host::{Host, cable};
use crate::instance::Instance;
use crate::probe::Probe;
use crate::reach::{Place, php};

/// Measures the other sites while a hog is at its worst.
const ROUNDS: u32 = 3;
const PATIENCE: Duration = Duration::from_mins(1);
/// Three files of 10 MiB, and a line too many in each.
const LOG_LIMIT: u64 = 3 * (10 * 1024 * 1024 + 64 * 1024);

/// Forks until it is refused; the children do nothing but spin, and end with it.
const FORK_BOMB: &str = r#"<?php
$children = 0; $parent = getmypid();
while (($child = @pcntl_fork()) !== -1) {
    if ($child === 0) { $until = microtime(true) + 20; while (microtime(true) < $until && posix_getppid() === $parent); exit; }
    if (++$children > 5000) { break; }
}
echo "$children\n"; fflush(STDOUT);
fgets(fopen('/tmp/hold', 'r'));
"#;

/// Opens connections until it is refused, and keeps them.
const CONNECTIONS: &str = r#"<?php
require '/etc/hostplane/wp-config.php';
mysqli_report(MYSQLI_REPORT_OFF); [$host, $port] = explode(':', DB_HOST); $open = [];
while (count($open) < 5000 && ($db = @mysqli_connect($host, DB_USER, DB_PASSWORD, DB_NAME, (int) $port))) { $open[] = $db; }
echo count($open), ' ', mysqli_connect_errno(), "\n"; fflush(STDOUT);
fgets(fopen('/tmp/hold', 'r'));
"#;

/// Opens connections without a word, until they are refused or there are more than MariaDB takes in all.
const SILENT: &str = r#"<?php
require '/etc/hostplane/wp-config.php';
[$host, $port] = explode(':', DB_HOST); $open = []; $begun = microtime(true);
while (count($open) < 2000 && ($socket = @stream_socket_client("tcp://$host:$port", $code, $error, 5))) { $open[] = $socket; }
while (!feof($open[0]) && microtime(true) < $begun + 20) { fread($open[0], 1000); }
echo count($open), ' ', (int) (microtime(true) - $begun), "\n"; fflush(STDOUT);
fgets(fopen('/tmp/hold', 'r'));
"#;

/// Asks the database for what would take its memory or leave its directory, and says what it got.
const TABLES: &str = r#"<?php
require '/etc/hostplane/wp-config.php';
mysqli_report(MYSQLI_REPORT_OFF); [$host, $port] = explode(':', DB_HOST);
$db = mysqli_connect($host, DB_USER, DB_PASSWORD, DB_NAME, (int) $port);
$engine = static function ($name) use ($db) {
    preg_match('/ENGINE=(\w+)/', $db->query("SHOW CREATE TABLE $name")->fetch_row()[1], $match); return $match[1];
};
$said = [];
foreach (['memory' => 'ENGINE=MEMORY', 'myisam' => 'ENGINE=MyISAM', 'outside' => "DATA DIRECTORY='/tmp'"] as $name => $how) {
    $said[$name] = $db->query("CREATE TABLE hog_$name (x INT) $how") ? $engine("hog_$name") : $db->error;
}
$said['temporary'] = $db->query('CREATE TEMPORARY TABLE hog_t (x INT) ENGINE=MEMORY') ? $engine('hog_t') : $db->error;
foreach (['max_heap_table_size', 'sort_buffer_size', 'join_buffer_size', 'max_session_mem_used',
    'max_tmp_session_space_usage', 'tmp_memory_table_size', 'read_buffer_size', 'read_rnd_buffer_size'] as $name) {
    $db->query("SET SESSION $name = 1099511627776");
    $said[$name] = (int) $db->query("SELECT @@$name")->fetch_row()[0];
}
$said['all'] = (int) $db->query('SELECT @@GLOBAL.max_tmp_total_space_usage')->fetch_row()[0];
echo json_encode($said);
"#;

/// Sorts more than a session may, and then fills tables that only it sees, in portions of 100 MB until it is refused.
const TEMPORARY: &str = r#"<?php
require '/etc/hostplane/wp-config.php';
mysqli_report(MYSQLI_REPORT_OFF); [$host, $port] = explode(':', DB_HOST);
$db = mysqli_connect($host, DB_USER, DB_PASSWORD, DB_NAME, (int) $port);
$sort = 'SELECT COUNT(*) FROM (SELECT SHA2(seq, 512) AS s FROM seq_1_to_ROWS ORDER BY 1 LIMIT 100000000) AS t';
$sorted = static fn($rows) => $db->query(str_replace('ROWS', $rows, $sort)) ? 'sorted' : strtr($db->error, ' ', '_');
[$few, $many] = [$sorted('300000'), $sorted('4000000')];
$db->query('CREATE TEMPORARY TABLE hog_space (x LONGTEXT)'); $full = 0;
for ($filled = 0; $filled < 3000 && !$full; $filled += 100) {
    $full = $db->query("INSERT INTO hog_space SELECT REPEAT('a', 1000000) FROM seq_1_to_100") ? 0 : $db->errno;
}
echo "$few $many $full $filled\n"; fflush(STDOUT);
fgets(fopen('/tmp/hold', 'r'));
"#;

/// Time that Caddy gives a connection without a request, and some for a busy machine; its own default is five minutes.
const IDLE_PATIENCE: Duration = Duration::from_secs(200);
/// Time that Caddy gives a header, and some for a busy machine.
const HEADER_PATIENCE: Duration = Duration::from_secs(20);

const MEMORY: &str = "$all = []; while (true) { $all[] = random_bytes(1 << 20); }";

#[test]
fn a_hog_hurts_only_its_own_site() {
    let begun = Instant::now();
    let instance = Instance::up();
    let (hog, bystander) = (instance.site("hog"), instance.site("bystander"));
    instance.create(&hog);
    instance.create(&bystander);
    let idle = idle_connection(&instance);
    let container = format!("php_{hog}");
    let case = |what: &str, worst: &mut dyn FnMut()| {
        let probe = Probe::of(&instance, &bystander);
        worst();
        let seen = probe.end();
        println!("noisy neighbour: {what}: {seen}");
        seen.assert_unharmed(ROUNDS);
    };
    case("all workers of PHP", &mut || {
        let slow =
            "file_put_contents('/var/www/html/slow.php', '<?php for (;;) { hash(\"sha512\", random_bytes(9999)); }');";
        docker(&["exec", &container, "php", "-r", slow]);
        // The kernel may have ended PHP-FPM too, which comes back at once.
        instance.until("the hog's page", PATIENCE, |instance| {
            visit(instance, &hog, "/", "60").wait().is_ok_and(|ended| ended.success())
        });
        let mut visitors: Vec<Child> = (0..20).map(|_| visit(&instance, &hog, "/slow.php", "120")).collect();
        instance.until("that its own visitors wait", PATIENCE, |instance| {
            visit(instance, &hog, "/", "3").wait().is_ok_and(|ended| !ended.success())
        });
        all_others_go_on(&instance, &bystander);
        for visitor in &mut visitors {
            let _ = visitor.kill();
            let _ = visitor.wait();
        }
        docker(&["restart", "--time", "1", &container]);
    });
    case("a fork bomb", &mut || {
        held(&container, FORK_BOMB, |said| {
            let children: u32 = said.trim().parse().expect("a number");
            assert!((8..64).contains(&children), "the limit is 64 processes, some of them PHP-FPM's: {children}");
            all_others_go_on(&instance, &bystander);
        });
    });
    case("all connections to the database", &mut || {
        held(&container, CONNECTIONS, |said| {
            // 1226: the user has as many as it may. A run of due events, or the last visitor's, may have one of them.
            let (open, error) = said.trim().split_once(' ').expect("two numbers");
            let open: u32 = open.parse().expect("a number");
            assert!((18..=20).contains(&open) && error == "1226", "{said}");
            all_others_go_on(&instance, &bystander);
        });
    });
    case("connections to the database without a word", &mut || {
        held(&container, SILENT, |said| {
            let (open, seconds) = said.trim().split_once(' ').expect("two numbers");
            let [open, seconds] = [open, seconds].map(|number| number.parse::<u32>().expect("a number"));
            assert!((200..=300).contains(&open), "{open} connections of one site");
            assert!((2..8).contains(&seconds), "MariaDB waited {seconds} s for a word");
            all_others_go_on(&instance, &bystander);
        });
    });
    case("tables in memory and outside", &mut || {
        tables_stay_where_they_belong(&instance, &container);
    });
    case("headers that never end", &mut || headers_end(&instance, &bystander));
    case("temporary tables", &mut || {
        held(&container, TEMPORARY, |said| {
            // 1114: a table is full.
            let words: Vec<&str> = said.split_whitespace().collect();
            let filled: u32 = words[3].parse().expect("a number");
            assert_eq!(words[..3], ["sorted", "Local_temporary_space_limit_reached", "1114"], "{said}");
            assert!((1000..=2200).contains(&filled), "{said}");
            all_others_go_on(&instance, &bystander);
        });
    });
    case("a flood of datagrams", &mut || {
        datagrams_are_flows(&instance, &container);
        all_others_go_on(&instance, &bystander);
    });
    case("all memory", &mut || {
        let ended =
            Command::new("docker").args(["exec", &container, "php", "-d", "memory_limit=-1", "-r", MEMORY]).output();
        assert_eq!(ended.expect("docker runs").status.code(), Some(137), "the kernel ends it");
        all_others_go_on(&instance, &bystander);
    });
    case("a flood in the log", &mut || {
        let line = "flood".repeat(200);
        docker(&["exec", &container, "sh", "-c", &format!("yes {line} | head --bytes 45M > /proc/1/fd/2")]);
        all_others_go_on(&instance, &bystander);
        let size = log_size(&container);
        assert!((10 << 20..LOG_LIMIT).contains(&size), "45 MiB were written, and {size} bytes are kept");
    });
    let idle = idle.join().expect("a time");
    assert!((Duration::from_secs(100)..IDLE_PATIENCE).contains(&idle), "a connection without a request: {idle:?}");
    println!("noisy neighbour: ten in {:?}", begun.elapsed());
}

fn headers_end(instance: &Instance, bystander: &str) {
    let begun = Instant::now();
    let half = || {
        let mut visitor = TcpStream::connect(("127.0.0.1", instance.http_port)).expect("Caddy listens");
        visitor.set_read_timeout(Some(HEADER_PATIENCE)).expect("a socket");
        visitor.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").expect("it is sent");
        visitor
    };
    let visitors: Vec<TcpStream> = (0..500).map(|_| half()).collect();
    all_others_go_on(instance, bystander);
    for mut visitor in visitors {
        let _ = visitor.read_to_end(&mut Vec::new());
    }
    assert!(begun.elapsed() < HEADER_PATIENCE, "Caddy keeps them for {:?}", begun.elapsed());
    for (size, status) in [(30_000, "404"), (100_000, "431")] {
        assert_eq!(status_with_header_of(instance, size), status, "{size} bytes of header");
    }
}

fn tables_stay_where_they_belong(instance: &Instance, container: &str) {
    let said = php(instance, &Place::Container(container.to_owned()), TABLES);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    for table in ["memory", "myisam", "outside", "temporary"] {
        assert_eq!(said[table], "InnoDB", "{table}: {said}");
    }
    let most = [
        ("max_heap_table_size", 64 << 20),
        ("sort_buffer_size", 16 << 20),
        ("join_buffer_size", 16 << 20),
        ("max_session_mem_used", 256 << 20),
        ("max_tmp_session_space_usage", 256 << 20),
        ("tmp_memory_table_size", 64 << 20),
        ("read_buffer_size", 16 << 20),
        ("read_rnd_buffer_size", 16 << 20),
        ("all", 8 << 30),
    ];
    for (name, most) in most {
        assert!(said[name].as_i64().is_some_and(|value| value <= most), "{name}: {said}");
    }
    let outside = docker(&["exec", &format!("{}-mariadb", instance.tag), "find", "/tmp", "-name", "*hog*"]);
    assert_eq!(outside, "");
    let kind = docker(&["exec", &format!("{}-mariadb", instance.tag), "stat", "--file-system", "--format=%T", "/tmp"]);
    assert_ne!(kind, "tmpfs", "what MariaDB sorts is on disk");
}

/// One site's flows to elsewhere are a small part of those that the kernel can keep; a foreign container's aren't.
fn datagrams_are_flows(instance: &Instance, container: &str) {
    let outside = Host::new();
    let address = cable(&outside, None).0.to_string();
    let arrived = || {
        let table = outside.within("cat").arg("/proc/net/dev").output().expect("cat runs").stdout;
        packets(&String::from_utf8_lossy(&table), |name| name != "lo").0
    };
    let flood = Flood { address: &address, most: 1_000_000, seconds: 12, to_one_port: false };
    let (sent, flows) = flood.from(instance, &Place::Container(container.to_owned()), arrived);
    println!("noisy neighbour: of {sent} datagrams {flows} were flows");
    assert!(sent > 6000 && (2500..=3100).contains(&flows), "of {sent} datagrams {flows} were flows");
    let control = Flood { most: 6000, ..flood };
    let (sent, flows) = control.from(instance, &Place::Network("bridge".to_owned()), arrived);
    assert!(sent == 6000 && flows > 5500, "of {sent} datagrams {flows} were flows");
}

/// Asks Caddy for one page, and answers how long Caddy keeps the connection after that.
fn idle_connection(instance: &Instance) -> JoinHandle<Duration> {
    let mut visitor = TcpStream::connect(("127.0.0.1", instance.http_port)).expect("Caddy listens");
    visitor.set_read_timeout(Some(IDLE_PATIENCE)).expect("a socket");
    visitor.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is sent");
    std::thread::spawn(move || {
        let begun = Instant::now();
        let _ = visitor.read_to_end(&mut Vec::new());
        begun.elapsed()
    })
}

/// The status of Caddy's answer to a request with so large a header.
fn status_with_header_of(instance: &Instance, size: usize) -> String {
    let mut visitor = TcpStream::connect(("127.0.0.1", instance.http_port)).expect("Caddy listens");
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: {}\r\n\r\n", "a".repeat(size));
    visitor.set_read_timeout(Some(HEADER_PATIENCE)).expect("a socket");
    // Caddy may answer before it has read everything.
    let _ = visitor.write_all(request.as_bytes());
    let mut answer = [0; 12];
    visitor.read_exact(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

/// Runs a program in a container until it has said a line, and holds it there meanwhile.
fn held(container: &str, program: &str, meanwhile: impl FnOnce(&str)) {
    use std::io::{BufRead, BufReader};
    // A restart empties the directory.
    docker(&["exec", container, "php", "-r", "file_exists('/tmp/hold') || posix_mkfifo('/tmp/hold', 0600);"]);
    let mut run = Command::new("docker");
    run.args(["exec", "--interactive", container, "php"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = run.spawn().expect("docker runs");
    child.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("the program is taken");
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
    meanwhile(&said);
    // It holds every process of the container that there may be, so it is let go from outside.
    docker(&["restart", "--time", "1", container]);
    let _ = child.wait();
}

fn visit(instance: &Instance, site: &str, path: &str, seconds: &str) -> Child {
    let host = format!("Host: {}", instance.authority(site));
    let url = format!("http://127.0.0.1:{}{path}", instance.http_port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", seconds, "--noproxy", "*", "--header", &host, &url]);
    curl.stdout(Stdio::null()).spawn().expect("curl runs")
}

fn all_others_go_on(instance: &Instance, bystander: &str) {
    for _ in 0..ROUNDS {
        instance.expect_front_page(bystander);
        instance.done(&["site", "list", "--json"]);
        assert_eq!(instance.sql("SELECT 1"), "1");
        let inside = Place::Container(format!("php_{bystander}"));
        assert_eq!(php(instance, &inside, "<?php echo 6 * 7;"), "42");
    }
    assert_eq!(instance.readiness()["ready"], true, "{}", instance.readiness());
}

/// The size of a container's log with all its rotated files.
fn log_size(container: &str) -> u64 {
    let path = inspect("container", container)["LogPath"].as_str().expect("a path").to_owned();
    let directory = Path::new(&path).parent().expect("a directory");
    let files = fs::read_dir(directory).expect("the Engine's directory").flatten();
    let logs = files.filter(|file| file.path().to_string_lossy().starts_with(&path));
    logs.map(|file| file.metadata().map_or(0, |file| file.len())).sum()
}
