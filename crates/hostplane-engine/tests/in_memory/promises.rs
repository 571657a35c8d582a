//! The tests that `docs/reliability.md` and `docs/isolation.md` name are there.

use std::path::Path;

#[test]
fn every_test_that_the_docs_name_exists() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let named = |docs: &'static str| -> Vec<&str> {
        docs.split('`').filter(|word| word.starts_with("hostplane") && word.contains(".rs")).collect()
    };
    let reliability = named(include_str!("../../../../docs/reliability.md"));
    let isolation = named(include_str!("../../../../docs/isolation.md"));
    assert!(reliability.len() > 30 && isolation.len() > 10, "{reliability:?} {isolation:?}");
    for promise in [reliability, isolation].concat() {
        let (file, test) = promise.split_once("::").map_or((promise, None), |(file, test)| (file, Some(test)));
        let code = std::fs::read_to_string(crates.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        if let Some(test) = test {
            assert!(code.contains(&format!("fn {test}(")), "{file} has no test {test}");
        }
    }
}
