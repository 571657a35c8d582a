//! Figures about the language and the shape of the tree. `scripts/check-language` compiles and runs this file.
//!
//! It reads the tree under the current directory. Files are compared as text and as tokens; nothing is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// First words that a doc line doesn't open with.
const OPENINGS: [&str; 6] = ["What", "Who", "Whether", "How", "Where", "So"];
/// Subjects that stand for no one in particular; "no one" is found beside them.
const VAGUE: [&str; 5] = ["somebody", "nobody", "whoever", "everybody", "anybody"];
/// Texts of other programs, with the words that the vocabulary replaces.
const QUOTED: &[&str] = &[];
/// The kind of site that exists only in tests, and its folder.
const TEST_KIND: (&str, &str) = ("tiny", "crates/hostplane-engine/src/sites/tiny/");
/// The resource whose mentions are counted, and the crate that serves tests alone.
const RESOURCE: &str = "NginxVolume";
const TESTING: &str = "crates/hostplane-testing/";

/// One Rust file under `crates/*/src`.
struct Source {
    path: String,
    text: String,
    krate: String,
    /// Path of its module in its crate.
    module: Vec<String>,
    tokens: Vec<Token>,
    /// Lines before its tests.
    lines: usize,
    /// Declared under `#[cfg(test)]`, or below a module that is.
    only_tests: bool,
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

struct Report {
    list: bool,
    under: Vec<String>,
    failed: bool,
}

impl Report {
    fn figure(&mut self, name: &str, value: String, target: &str, met: bool, findings: &[String]) {
        let mark = if met { "ok" } else { "MISSES" };
        println!("{mark:<7}{name:<70}{value:>16}   {target}");
        self.failed |= !met;
        if self.list {
            let shown = |finding: &&String| {
                self.under.is_empty() || self.under.iter().any(|prefix| finding.starts_with(prefix.as_str()))
            };
            findings.iter().filter(shown).for_each(|finding| println!("         {finding}"));
        }
    }
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.first().is_some_and(|first| first == "--list");
    if list {
        arguments.remove(0);
    }
    if arguments.iter().any(|argument| argument.starts_with('-')) || (!list && !arguments.is_empty()) {
        eprintln!("usage: scripts/check-language [--list [PATH…]]");
        return ExitCode::from(2);
    }
    let mut report = Report { list, under: arguments, failed: false };
    let sources = sources();
    if sources.is_empty() {
        eprintln!("no crates/*/src here: run it at the root of the project");
        return ExitCode::from(2);
    }
    let texts = texts(&sources);
    let extra = if list { tests_texts(&report.under) } else { Vec::new() };
    doc_openings(&mut report, &sources);
    words(&mut report, &texts, &extra);
    circles(&mut report, &sources);
    lengths(&mut report, &sources);
    touched(&mut report, &sources);
    ExitCode::from(u8::from(report.failed))
}

// ---- the tree ----

/// All files below a directory, sorted.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
    }
}

fn crates(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut roots: Vec<PathBuf> =
        fs::read_dir("crates").into_iter().flatten().flatten().map(|entry| entry.path().join(folder)).collect();
    roots.sort();
    roots.iter().for_each(|root| walk(root, &mut found));
    found
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension))
}

fn sources() -> Vec<Source> {
    let rust = crates("src").into_iter().filter(|path| has_extension(path, &["rs"]));
    let mut sources: Vec<Source> = rust.filter_map(|path| source(&path)).collect();
    mark_tests(&mut sources);
    sources
}

fn mark_tests(sources: &mut [Source]) {
    let mut tests = BTreeSet::new();
    for source in &*sources {
        for name in test_modules(&source.tokens) {
            let mut module = source.module.clone();
            module.push(name);
            tests.insert((source.krate.clone(), module));
        }
    }
    for source in sources {
        let is_test = |length| tests.contains(&(source.krate.clone(), source.module[..length].to_vec()));
        source.only_tests = (1..=source.module.len()).any(is_test);
    }
}

fn source(path: &Path) -> Option<Source> {
    parse_source(path.to_str()?, fs::read_to_string(path).ok()?)
}

fn parse_source(path: &str, text: String) -> Option<Source> {
    let (krate, file) = path.strip_prefix("crates/")?.split_once("/src/")?;
    let mut module: Vec<String> = file.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    let (tokens, lines) = (tokens(&text), lines_before_tests(&text));
    Some(Source { path: path.to_owned(), krate: krate.to_owned(), module, tokens, lines, only_tests: false, text })
}

fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let begins_tests = |at: &usize| {
        lines[*at].trim() == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .map(|line| line.trim())
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    (0..lines.len()).find(begins_tests).unwrap_or(lines.len())
}

/// The texts whose words are counted: sources with their scripts, and the docs.
fn texts(sources: &[Source]) -> Vec<(String, String)> {
    let read = |path: PathBuf| Some((path.to_str()?.to_owned(), fs::read_to_string(&path).ok()?));
    let mut texts: Vec<(String, String)> =
        sources.iter().map(|source| (source.path.clone(), source.text.clone())).collect();
    let mut others: Vec<PathBuf> =
        crates("src").into_iter().filter(|path| has_extension(path, &["php", "sh"])).collect();
    walk(Path::new("docs"), &mut others);
    others.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(PathBuf::from));
    others.retain(|path| has_extension(path, &["md", "php", "sh"]));
    texts.extend(others.into_iter().filter_map(read));
    texts
}

/// What else was named on the command line: listed, and not counted.
fn tests_texts(under: &[String]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in under {
        let path = Path::new(path);
        if path.is_file() { found.push(path.to_owned()) } else { walk(path, &mut found) }
    }
    found.retain(|path| path.to_str().is_some_and(|path| !path.contains("/src/") && !path.starts_with("docs/")));
    found
        .retain(|path| !["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].iter().any(|name| path == Path::new(name)));
    found.into_iter().filter_map(|path| Some((path.to_str()?.to_owned(), fs::read_to_string(&path).ok()?))).collect()
}

// ---- words ----

/// Lines that open so, in comparison with doc comments and not with all their lines: that is the stricter measure.
fn doc_openings(report: &mut Report, sources: &[Source]) {
    let (mut comments, mut findings) = (0_usize, Vec::new());
    for source in sources {
        let mut in_comment = false;
        for (number, line) in source.text.lines().enumerate() {
            let line = line.trim_start();
            let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            comments += usize::from(text.is_some() && !in_comment);
            in_comment = text.is_some();
            let first = text.unwrap_or_default().trim_start().split(|c: char| !c.is_alphanumeric()).next();
            if first.is_some_and(|first| OPENINGS.contains(&first)) {
                findings.push(format!("{}:{}: {line}", source.path, number + 1));
            }
        }
    }
    let share = findings.len() as f64 * 100.0 / comments.max(1) as f64;
    let value = format!("{share:.1} % of {comments}");
    report.figure(
        "doc lines that open with What, Who, Whether, How, Where or So",
        value,
        "at most 2 %",
        share <= 2.0,
        &findings,
    );
}

/// The words of a line: at each change of case, each underscore and each sign a new one, in small letters.
fn split(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let (mut words, mut word) = (Vec::new(), String::new());
    for (at, &c) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1);
        let begins = c.is_uppercase()
            && before.is_some_and(|b| b.is_lowercase() || b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()));
        if (begins || !c.is_alphabetic()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn is_vague(line: &str) -> usize {
    let words = split(line);
    let no_one = line.to_lowercase();
    let no_one = no_one.match_indices("no one").filter(|(at, text)| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        edge(no_one[..*at].chars().next_back()) && edge(no_one[at + text.len()..].chars().next())
    });
    words.iter().filter(|word| VAGUE.contains(&word.as_str())).count() + no_one.count()
}

fn is_replaced(line: &str) -> usize {
    let line = QUOTED.iter().fold(line.to_owned(), |line, quoted| line.replace(quoted, ""));
    let replaced = |word: &&String| {
        word.starts_with("look") && !word.starts_with("lookup")
            || word.starts_with("mend")
            || ["tell", "tells", "told", "telling"].contains(&word.as_str())
    };
    split(&line).iter().filter(replaced).count()
}

fn words(report: &mut Report, texts: &[(String, String)], extra: &[(String, String)]) {
    let count = |of: fn(&str) -> usize| {
        let (mut counted, mut findings) = (0, Vec::new());
        for (path, text, counts) in
            texts.iter().map(|(path, text)| (path, text, 1)).chain(extra.iter().map(|(path, text)| (path, text, 0)))
        {
            for (number, line) in text.lines().enumerate() {
                let found = of(line);
                counted += found * counts;
                if found > 0 {
                    findings.push(format!("{path}:{}: {}", number + 1, line.trim()));
                }
            }
        }
        (counted, findings)
    };
    let (vague, findings) = count(is_vague);
    report.figure(
        "somebody, nobody, whoever, everybody, anybody, no one",
        vague.to_string(),
        "at most 10",
        vague <= 10,
        &findings,
    );
    let (replaced, findings) = count(is_replaced);
    report.figure(
        "look, tell, mend and what is made of them, but lookup",
        replaced.to_string(),
        "0",
        replaced == 0,
        &findings,
    );
}

// ---- circles ----

/// The tokens of a Rust file without comments and texts.
fn tokens(text: &str) -> Vec<Token> {
    let c: Vec<char> = text.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut at) = (Vec::new(), 0);
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, w)| c.get(at + i) == Some(&w));
    while at < c.len() {
        if starts(at, "//") {
            while at < c.len() && c[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0_u32;
            loop {
                if starts(at, "/*") {
                    (depth, at) = (depth + 1, at + 2);
                } else if starts(at, "*/") {
                    (depth, at) = (depth - 1, at + 2);
                } else {
                    at += 1;
                }
                if depth == 0 || at >= c.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_text(&c, at) {
            at = end;
        } else if c[at] == '"' {
            at += 1;
            while at < c.len() && c[at] != '"' {
                at += if c[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c[at] == '\'' {
            // A character or a lifetime.
            if c.get(at + 1) == Some(&'\\') {
                at += 3;
                while at < c.len() && c[at] != '\'' {
                    at += 1;
                }
                at += 1;
            } else {
                at += if c.get(at + 2) == Some(&'\'') { 3 } else { 1 };
            }
        } else if is_word(c[at]) {
            let begin = at;
            while at < c.len() && is_word(c[at]) {
                at += 1;
            }
            tokens.push(Token::Word(c[begin..at].iter().collect()));
        } else if starts(at, "::") {
            tokens.push(Token::Path);
            at += 2;
        } else {
            if !c[at].is_whitespace() {
                tokens.push(Token::Sign(c[at]));
            }
            at += 1;
        }
    }
    tokens
}

/// The end of a raw text that begins here.
fn raw_text(c: &[char], at: usize) -> Option<usize> {
    if at > 0 && (c[at - 1].is_alphanumeric() || c[at - 1] == '_') {
        return None;
    }
    let mut next = at + usize::from(c[at] == 'b');
    if c.get(next) != Some(&'r') {
        return None;
    }
    next += 1;
    let hashes = c[next..].iter().take_while(|c| **c == '#').count();
    next += hashes;
    if c.get(next) != Some(&'"') {
        return None;
    }
    let end = |at: &usize| c[*at] == '"' && c[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    Some((next + 1..c.len()).find(end).map_or(c.len(), |at| at + 1 + hashes))
}

fn word(tokens: &[Token], at: usize) -> Option<&str> {
    match tokens.get(at) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

fn is_sign(tokens: &[Token], at: usize, sign: char) -> bool {
    tokens.get(at) == Some(&Token::Sign(sign))
}

/// After `#[cfg(test)]` and further attributes: the place of the item.
fn test_item(tokens: &[Token], at: usize) -> Option<usize> {
    let cfg_test = is_sign(tokens, at, '#')
        && is_sign(tokens, at + 1, '[')
        && word(tokens, at + 2) == Some("cfg")
        && is_sign(tokens, at + 3, '(')
        && word(tokens, at + 4) == Some("test")
        && is_sign(tokens, at + 5, ')');
    if !cfg_test {
        return None;
    }
    let mut at = at + 7;
    while is_sign(tokens, at, '#') {
        at = end_of_block(tokens, at + 1);
    }
    if word(tokens, at) == Some("pub") {
        at += 1;
        if is_sign(tokens, at, '(') {
            at = end_of_block(tokens, at);
        }
    }
    Some(at)
}

/// Just after the bracket that closes the one here.
fn end_of_block(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_u32;
    for (offset, token) in tokens[at..].iter().enumerate() {
        match token {
            Token::Sign('{' | '[' | '(') => depth += 1,
            Token::Sign('}' | ']' | ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + offset + 1;
        }
    }
    tokens.len()
}

/// Names of `#[cfg(test)] mod name;`.
fn test_modules(tokens: &[Token]) -> Vec<String> {
    let items = (0..tokens.len()).filter_map(|at| test_item(tokens, at));
    let named = items.filter(|at| word(tokens, *at) == Some("mod") && is_sign(tokens, at + 2, ';'));
    named.filter_map(|at| word(tokens, at + 1).map(str::to_owned)).collect()
}

/// A path, from the root of the crate; empty if it leaves the crate.
type ModulePath = Vec<String>;

/// One `use`, or one path in the text.
struct Import {
    /// As absolute path, if it is inside the crate.
    path: ModulePath,
    /// Under which name it is known from here on; `*` for all. Empty for a path in the text.
    name: String,
    public: bool,
    /// Begins with `crate`, `super` or `self`; others begin with a module below.
    rooted: bool,
}

struct Parsed {
    imports: Vec<Import>,
    /// Names of items.
    items: BTreeSet<String>,
}

fn parse(source: &Source) -> Parsed {
    let tokens = &source.tokens;
    let (mut imports, mut items) = (Vec::new(), BTreeSet::new());
    // Modules inside of the file, each with the depth at which it ends.
    let (mut inner, mut depth): (Vec<(String, u32)>, u32) = (Vec::new(), 0);
    let (mut at, mut public) = (0, false);
    while at < tokens.len() {
        if let Some(item) = test_item(tokens, at) {
            at = end_of_item(tokens, item);
            continue;
        }
        let mut module = source.module.clone();
        module.extend(inner.iter().map(|(name, _)| name.clone()));
        match &tokens[at] {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                inner.retain(|(_, ends)| *ends != depth);
            }
            Token::Word(word_here) => match word_here.as_str() {
                "pub" => {
                    public = true;
                    at += 1;
                    if is_sign(tokens, at, '(') {
                        at = end_of_block(tokens, at);
                    }
                    continue;
                }
                "mod" if is_sign(tokens, at + 2, '{') => {
                    inner.push((word(tokens, at + 1).unwrap_or_default().to_owned(), depth));
                    at += 1;
                }
                "use" if !is_sign(tokens, at + 1, '<') => {
                    at = use_tree(tokens, at + 1, &[], &mut |path, name| {
                        let rooted = ["crate", "super", "self"].contains(&path[0].as_str());
                        imports.push(Import { path: absolute(&module, path), name, public, rooted });
                    });
                }
                "crate" | "super" if tokens.get(at + 1) == Some(&Token::Path) && !within_visibility(tokens, at) => {
                    let mut path = vec![word_here.clone()];
                    while tokens.get(at + 1) == Some(&Token::Path) && word(tokens, at + 2).is_some() {
                        path.push(word(tokens, at + 2).unwrap_or_default().to_owned());
                        at += 2;
                    }
                    let path = absolute(&module, &path);
                    imports.push(Import { path, name: String::new(), public: false, rooted: true });
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    items.extend(word(tokens, at + 1).map(str::to_owned));
                }
                _ => {}
            },
            _ => {}
        }
        public = false;
        at += 1;
    }
    Parsed { imports, items }
}

/// `pub(in crate::…)` names a place, and nothing of it.
fn within_visibility(tokens: &[Token], at: usize) -> bool {
    at > 0 && word(tokens, at - 1) == Some("in") && at > 1 && is_sign(tokens, at - 2, '(')
}

/// Just after an item: its `;`, or the block that closes it.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at] {
            Token::Sign(';') => return at + 1,
            Token::Sign('{') => return end_of_block(tokens, at),
            Token::Sign('(' | '[') => at = end_of_block(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Reads a tree of `use` from here, and returns the place of its last token but one (`;`, `,` or `}` follow).
fn use_tree(tokens: &[Token], mut at: usize, before: &[String], found: &mut impl FnMut(&[String], String)) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Word(part)) if part == "as" => {
                found(&path, word(tokens, at + 1).unwrap_or_default().to_owned());
                return at + 1;
            }
            Some(Token::Word(part)) => path.push(part.clone()),
            Some(Token::Path) => {}
            Some(Token::Sign('*')) => {
                found(&path, "*".to_owned());
                return at;
            }
            Some(Token::Sign('{')) => {
                while !is_sign(tokens, at, '}') && at < tokens.len() {
                    at += 1;
                    if !is_sign(tokens, at, '}') {
                        at = use_tree(tokens, at, &path, found) + 1;
                    }
                }
                return at;
            }
            _ => {
                let itself = path.last().is_some_and(|last| last == "self") && path.len() > 1;
                if itself {
                    path.pop();
                }
                if let Some(last) = path.last().cloned() {
                    found(&path, last);
                }
                return at - 1;
            }
        }
        at += 1;
    }
}

/// The path from the root of the crate. One that begins with neither `crate`, `super` nor `self` begins with a module
/// below, or is another crate's: then nothing of that name is found.
fn absolute(module: &[String], path: &[String]) -> ModulePath {
    let mut base = module.to_vec();
    let mut rest = path;
    while let Some(first) = rest.first() {
        match first.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    base
}

/// The files of one crate, by module.
struct Tree<'a> {
    files: BTreeMap<&'a [String], usize>,
    parsed: &'a [Parsed],
}

impl Tree<'_> {
    /// The file that defines what a path names, as far as names are passed on by `use`.
    fn resolve(&self, path: &[String], depth: u32) -> Option<usize> {
        let mut length = path.len();
        let (file, rest) = loop {
            if let Some(file) = self.files.get(&path[..length]) {
                break (*file, &path[length..]);
            }
            length = length.checked_sub(1)?;
        };
        let Some(name) = rest.first() else { return Some(file) };
        if depth > 16 || self.parsed[file].items.contains(name) {
            return Some(file);
        }
        let passed_on = self.parsed[file].imports.iter().filter(|import| import.name == *name);
        for import in passed_on {
            let mut through = import.path.clone();
            through.extend_from_slice(&rest[1..]);
            if through != path && (import.rooted || self.is_below(file, &import.path)) {
                return self.resolve(&through, depth + 1);
            }
        }
        for import in self.parsed[file].imports.iter().filter(|import| import.name == "*") {
            let mut through = import.path.clone();
            through.extend_from_slice(rest);
            let target = self.resolve(&through, depth + 1);
            if target.is_some_and(|target| target != file && self.parsed[target].items.contains(name)) {
                return target;
            }
        }
        Some(file)
    }

    /// Another crate's path looks like one to a module below that isn't there.
    fn is_below(&self, file: usize, path: &[String]) -> bool {
        let module = self.files.iter().find(|(_, of)| **of == file).map_or(0, |(module, _)| module.len());
        path.get(..=module).is_some_and(|prefix| self.files.contains_key(prefix))
    }
}

/// Files that import each other, with the imports between them. An import is a path from `crate`, `super` or `self`, in a
/// `use` or in the text; a parent that names a module below by a relative path (`worker::Worker`) doesn't import it.
struct Circle {
    files: Vec<String>,
    imports: Vec<String>,
}

fn circles(report: &mut Report, sources: &[Source]) {
    let found = circles_of(sources);
    let findings: Vec<String> = found.iter().flat_map(|circle| circle.imports.clone()).collect();
    let name = "circles of files that import each other";
    report.figure(name, found.len().to_string(), "0", found.is_empty(), &findings);
    for circle in &found {
        println!("       circle: {}", circle.files.join(" "));
    }
}

fn circles_of(sources: &[Source]) -> Vec<Circle> {
    let mut found = Vec::new();
    let names: BTreeSet<&str> = sources.iter().map(|source| source.krate.as_str()).collect();
    for name in names {
        let of_crate: Vec<&Source> =
            sources.iter().filter(|source| source.krate == name && !source.only_tests).collect();
        let parsed: Vec<Parsed> = of_crate.iter().map(|source| parse(source)).collect();
        let files = of_crate.iter().enumerate().map(|(at, source)| (source.module.as_slice(), at)).collect();
        let tree = Tree { files, parsed: &parsed };
        let mut edges = vec![BTreeSet::new(); of_crate.len()];
        for (from, parsed) in parsed.iter().enumerate() {
            for import in parsed.imports.iter().filter(|import| import.rooted) {
                let Some(to) = tree.resolve(&import.path, 0) else { continue };
                // A name that a file passes on from below is an import of those that use it.
                let passed_on = import.public && of_crate[to].module.starts_with(&of_crate[from].module);
                if to != from && !passed_on {
                    edges[from].insert(to);
                }
            }
        }
        for circle in components(&edges) {
            let path = |file: &usize| of_crate[*file].path.clone();
            let imports = circle.iter().flat_map(|from| {
                let to = edges[*from].iter().filter(|to| circle.contains(to));
                to.map(move |to| format!("{} -> {}", path(from), path(to)))
            });
            found.push(Circle { files: circle.iter().map(path).collect(), imports: imports.collect() });
        }
    }
    found
}

/// Sets of more than one file, each of which reaches each other.
fn components(edges: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let reach: Vec<BTreeSet<usize>> = (0..edges.len())
        .map(|from| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                open.extend(edges[at].iter().filter(|to| seen.insert(**to)));
            }
            seen
        })
        .collect();
    let mut found = BTreeSet::new();
    for from in 0..edges.len() {
        let circle: BTreeSet<usize> = reach[from].iter().copied().filter(|to| reach[*to].contains(&from)).collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

// ---- shape ----

fn lengths(report: &mut Report, sources: &[Source]) {
    let mut lengths: Vec<(usize, &str)> = sources
        .iter()
        .filter(|source| !source.only_tests && source.lines > 0)
        .map(|source| (source.lines, source.path.as_str()))
        .collect();
    lengths.sort_unstable();
    let (longest, path) = *lengths.last().unwrap_or(&(0, ""));
    let over = lengths.iter().rev().filter(|(lines, _)| *lines > 400);
    let findings: Vec<String> = over.map(|(lines, path)| format!("{path}: {lines} lines")).collect();
    report.figure(
        &format!("longest file without its tests, {path}"),
        longest.to_string(),
        "at most 400 lines",
        longest <= 400,
        &findings,
    );
    let median = lengths.get(lengths.len() / 2).map_or(0, |(lines, _)| *lines);
    report.figure("median of all files without their tests", median.to_string(), "at most 95 lines", median <= 95, &[]);
}

fn touched(report: &mut Report, sources: &[Source]) {
    let (kind, folder) = TEST_KIND;
    let names_kind = |source: &&Source| source.text.lines().any(|line| split(line).iter().any(|word| word == kind));
    let files: BTreeSet<String> = sources
        .iter()
        .filter(names_kind)
        .map(|source| if source.path.starts_with(folder) { folder.to_owned() } else { source.path.clone() })
        .collect();
    let findings: Vec<String> = files.into_iter().collect();
    // None would mean that the test kind has another name, and that nothing was counted.
    let met = (1..=4).contains(&findings.len());
    report.figure("files touched to add the test kind of site", findings.len().to_string(), "1 to 4", met, &findings);

    let names_resource = |source: &&Source| {
        let text: Vec<&str> = source.text.lines().take(source.lines).collect();
        !source.only_tests
            && !source.path.starts_with(TESTING)
            && tokens(&text.join("\n")).contains(&Token::Word(RESOURCE.to_owned()))
    };
    let findings: Vec<String> = sources.iter().filter(names_resource).map(|source| source.path.clone()).collect();
    let met = (1..=3).contains(&findings.len());
    report.figure("files touched to add a resource", findings.len().to_string(), "1 to 3", met, &findings);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles_in(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let parse = |(path, text): &(&str, &str)| parse_source(&format!("crates/c/src/{path}"), (*text).to_owned());
        let mut sources: Vec<Source> = files.iter().filter_map(parse).collect();
        mark_tests(&mut sources);
        let names = |circle: Circle| circle.files.iter().map(|file| file["crates/c/src/".len()..].to_owned()).collect();
        circles_of(&sources).into_iter().map(names).collect()
    }

    #[test]
    fn words_are_split_at_case_underscore_and_sign() {
        assert_eq!(
            split("LookupSpan look_up HTMLLook it's"),
            ["lookup", "span", "look", "up", "html", "look", "it", "s"]
        );
        assert_eq!(is_replaced("lookup LookupSpan recommend overlooked"), 0);
        assert_eq!(is_replaced("look_at Looked mended told TELLS"), 5);
        assert_eq!(is_vague("No one, somebody's, nobody_answers; no ones"), 3);
    }

    #[test]
    fn comments_and_texts_are_no_tokens() {
        let text = "a /* b /* c */ */ \"crate::d\" r#\"crate::e\"# 'f' '\\'' 'g x::h // i";
        let word = |word: &str| Token::Word(word.to_owned());
        assert_eq!(tokens(text), [word("a"), word("g"), word("x"), Token::Path, word("h")]);
    }

    #[test]
    fn a_circle_is_found_through_nested_and_inline_paths() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;"),
            ("a.rs", "use crate::{\n    b::{self, B},\n    x::Y,\n};\npub struct A;"),
            ("b.rs", "pub struct B;\nfn f() -> super::c::C { todo!() }"),
            ("c.rs", "pub struct C;\nmod inner {\n    use super::super::a::A;\n}"),
        ];
        assert_eq!(circles_in(&files), [["a.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn passing_a_name_on_is_no_import() {
        let files = [
            ("lib.rs", "mod a;\nmod other;"),
            ("a/mod.rs", "mod b;\npub(crate) use self::b::B;\npub struct A;"),
            ("a/b.rs", "use super::A;\npub struct B;\nuse crate::other::O;"),
            ("other.rs", "use crate::a::A;\npub struct O;"),
        ];
        assert!(circles_in(&files).is_empty());
    }

    #[test]
    fn a_name_is_followed_to_the_file_that_defines_it() {
        let files = [
            ("lib.rs", "mod a;\nmod other;"),
            ("a/mod.rs", "mod b;\npub(crate) use b::B;"),
            ("a/b.rs", "pub struct B;\nuse crate::other::O;"),
            ("other.rs", "use crate::a::B;\npub struct O;"),
        ];
        assert_eq!(circles_in(&files), [["a/b.rs", "other.rs"]]);
    }

    #[test]
    fn tests_close_no_circle() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "pub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n#[cfg(test)]\nmod more;"),
            ("a/more.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A;\nuse crate::a::more::M;\npub struct B;"),
        ];
        assert!(circles_in(&files).is_empty());
    }

    #[test]
    fn lines_end_where_tests_begin() {
        assert_eq!(lines_before_tests("a\nb\n#[cfg(test)]\nfn helper() {}\n#[cfg(test)]\nmod tests {\n}\n"), 4);
    }
}
