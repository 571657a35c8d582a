//! Probe of the network, run inside any container.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::instance::Instance;

/// Opens a connection to each address, all at once, and says which were opened within the deadline.
const CONNECT: &str = r#"<?php
$open = []; $reached = []; $until = microtime(true) + 3;
foreach (json_decode('TARGETS') as $target) {
    $reached[$target] = false;
    $stream = @stream_socket_client("tcp://$target", $code, $words, 2, STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT);
    if ($stream) { $open[$target] = $stream; }
}
while ($open && microtime(true) < $until) {
    $read = null; $write = array_values($open); $except = array_values($open);
    if (!stream_select($read, $write, $except, 0, 100000)) { continue; }
    foreach ($open as $target => $stream) {
        if (in_array($stream, $write, true) || in_array($stream, $except, true)) {
            $reached[$target] = stream_socket_get_name($stream, true) !== false;
            unset($open[$target]);
        }
    }
}
echo json_encode($reached);
"#;

/// Searches for a text in every file that the process may read, the other processes' secrets among them.
const SEARCH: &str = r#"<?php
$needle = 'NEEDLE'; $found = [];
$skip = fn($file, $key, $inner) => !$file->isLink() && !preg_match('~^/+(proc|sys|usr|var/lib/(dpkg|apt))(/|$)~', $file->getPathname());
$files = new RecursiveCallbackFilterIterator(new RecursiveDirectoryIterator('/', FilesystemIterator::SKIP_DOTS), $skip);
$all = [];
foreach (new RecursiveIteratorIterator($files, RecursiveIteratorIterator::LEAVES_ONLY, RecursiveIteratorIterator::CATCH_GET_CHILD) as $file) {
    if ($file->isFile() && $file->getSize() < 4000000) { $all[] = preg_replace('~^/+~', '/', $file->getPathname()); }
}
foreach (glob('/proc/[0-9]*') as $process) {
    array_push($all, "$process/environ", "$process/cmdline", "$process/mountinfo");
}
foreach ($all as $path) {
    if (strpos((string) @file_get_contents($path), $needle) !== false) { $found[] = $path; }
}
echo json_encode(['found' => $found, 'searched' => count($all)]);
"#;

/// Place in which a probe runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a container that runs, as its own user.
    Container(String),
    /// In a container of the test's own, as the user of PHP, on this network; `host` is the machine's own, and
    /// `container:NAME` another container's.
    Network(String),
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::Container(name) | Self::Network(name) => name,
        }
    }
}

/// Runs a PHP program, read from standard input, in a place.
pub fn php(instance: &Instance, place: &Place, program: &str) -> String {
    let image = &crate::instance::images()["PHP_IMAGE"];
    let (network, label) = (format!("--network={}", place.name()), instance.label());
    let arguments = match place {
        Place::Container(name) => vec!["exec", "--interactive", name, "php"],
        Place::Network(_) => {
            let mut run = vec!["run", "--rm", "--interactive", "--user=33:33", "--cap-drop=ALL", &network];
            run.extend(["--label", &label, image, "php"]);
            run
        }
    };
    let mut docker = Command::new("docker");
    let engine = instance.engine();
    docker.args(engine.iter().flat_map(|address| ["--host", address])).args(arguments);
    let mut child =
        docker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("docker runs");
    child.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("the program is taken");
    let output = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&output.stderr);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "in {place:?}: {} {words} {answer}", output.status);
    answer
}

/// Which of these addresses can be connected to from a place.
pub fn reached(instance: &Instance, place: &Place, targets: &[String]) -> BTreeMap<String, bool> {
    let program = CONNECT.replace("TARGETS", &serde_json::to_string(targets).expect("texts"));
    let answer = php(instance, place, &program);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The files, and what processes say of themselves, in which a text is found from inside a container.
pub fn files_with(instance: &Instance, container: &str, needle: &str) -> Vec<String> {
    let answer = php(instance, &Place::Container(container.to_owned()), &SEARCH.replace("NEEDLE", needle));
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert!(answer["searched"].as_u64() > Some(1000), "WordPress alone has more files: {answer}");
    let found = answer["found"].as_array().expect("a list");
    found.iter().map(|path| path.as_str().expect("a path").to_owned()).collect()
}
