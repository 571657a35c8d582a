//! The Docker command line, as an operator would use it beside the control plane.

use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs `docker` and gives what it prints, or panics with its complaint.
pub fn docker(arguments: &[&str]) -> String {
    try_docker(arguments).unwrap_or_else(|complaint| panic!("docker {arguments:?}: {complaint}"))
}

/// Runs `docker` and gives what it prints, or its complaint.
pub fn try_docker(arguments: &[&str]) -> Result<String, String> {
    docker_at(None, arguments)
}

/// Runs `docker` on an Engine, the machine's unless its address is given.
pub fn docker_at(engine: Option<&str>, arguments: &[&str]) -> Result<String, String> {
    let engine: Vec<&str> = engine.map_or_else(Vec::new, |address| vec!["--host", address]);
    let output =
        Command::new("docker").args(engine).args(arguments).stdin(Stdio::null()).output().expect("docker runs");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The Engine's facts of an object.
pub fn inspect(what: &str, name: &str) -> Value {
    let answer: Value = serde_json::from_str(&docker(&[what, "inspect", name])).expect("inspect answers JSON");
    answer[0].clone()
}

/// The names of everything whose name contains a text: containers, volumes, networks.
pub fn names_with(text: &str) -> Vec<String> {
    names_at(None, text)
}

/// The same on an Engine.
pub fn names_at(engine: Option<&str>, text: &str) -> Vec<String> {
    let filter = format!("name={text}");
    let mut names = Vec::new();
    for arguments in [
        ["ps", "--all", "--filter", &filter, "--format", "container {{.Names}}"].as_slice(),
        ["volume", "ls", "--filter", &filter, "--format", "volume {{.Name}}"].as_slice(),
        ["network", "ls", "--filter", &filter, "--format", "network {{.Name}}"].as_slice(),
    ] {
        let found = docker_at(engine, arguments).unwrap_or_else(|complaint| panic!("{arguments:?}: {complaint}"));
        names.extend(found.lines().map(str::to_owned));
    }
    names
}

/// Removes everything with a label. Used when a test ends, so it complains about nothing.
pub fn remove_labelled(label: &str) {
    let filter = format!("label={label}");
    for (list, remove) in [
        (["ps", "--all", "--quiet", "--filter", &filter].as_slice(), ["rm", "--force", "--volumes"].as_slice()),
        (["network", "ls", "--quiet", "--filter", &filter].as_slice(), ["network", "rm"].as_slice()),
        (["volume", "ls", "--quiet", "--filter", &filter].as_slice(), ["volume", "rm"].as_slice()),
    ] {
        let Ok(found) = try_docker(list) else { continue };
        for id in found.lines() {
            let arguments: Vec<&str> = remove.iter().copied().chain([id]).collect();
            let _ = try_docker(&arguments);
        }
    }
}
