//! ARCHITECTURE's import diagram against the code: a module of the harness imports only from the lines below its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../ARCHITECTURE.md");

/// Files that are compiled for tests alone, besides those named `tests`.
const TEST_FILES: [&str; 3] = ["fixture.rs", "hostile.rs", "simulation.rs"];

/// The line of each module in the diagram, from the top.
fn diagram() -> BTreeMap<&'static str, usize> {
    let (_, rest) =
        DOCUMENT.split_once("<!-- imports: harness/src -->\n```\n").expect("ARCHITECTURE.md has the diagram");
    let (lines, _) = rest.split_once("```\n<!-- end of imports -->").expect("the diagram ends");
    let place = |(line, modules): (usize, &'static str)| modules.split(", ").map(move |module| (module, line));
    lines.lines().enumerate().flat_map(place).collect()
}

/// The code of a file without comments and without the tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that follow `crate::` in the code: one, or several in braces.
fn imported(code: &str) -> BTreeSet<&str> {
    let name = |text: &str| text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(&rest[..name(rest)]);
            continue;
        };
        let (mut depth, mut start) = (0_usize, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' | ',' if depth == 0 => {
                    let item = group[start..at].trim_start();
                    found.insert(&item[..name(item)]);
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    // Constants and types of the crate's root, and the comma before a closing brace, are no modules.
    found.retain(|name| name.starts_with(char::is_lowercase));
    found
}

#[test]
fn groups_are_taken_apart() {
    let code =
        "use crate::error::Error;\nuse crate::{config::{self, Plan}, data, VERSION,\n};\nlet x = crate::stats::mean();";
    assert_eq!(imported(code), BTreeSet::from(["config", "data", "error", "stats"]));
}

#[test]
fn imports_run_downwards() {
    let diagram = diagram();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut problems = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&source).into_iter().map(Result::unwrap) {
        let path = entry.path().strip_prefix(&source).unwrap();
        let is_test = |name: &str| name == "tests" || name == "tests.rs" || TEST_FILES.contains(&name);
        let is_code = path.extension().is_some_and(|extension| extension == "rs");
        if !is_code || path.iter().any(|part| is_test(&part.to_string_lossy())) {
            continue;
        }
        let top = path.iter().next().unwrap().to_string_lossy();
        let module = top.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some((module, line)) = diagram.get_key_value(module) else {
            problems.insert(format!("`{module}` is not in the diagram"));
            continue;
        };
        seen.insert(*module);
        for other in imported(&code(entry.path())).into_iter().filter(|other| other != module) {
            if diagram.get(other).is_none_or(|below| below <= line) {
                problems.insert(format!("{} imports from `{other}`", path.display()));
            }
        }
    }
    problems.extend(diagram.keys().filter(|name| !seen.contains(*name)).map(|name| format!("there is no `{name}`")));
    assert!(problems.is_empty(), "ARCHITECTURE.md:\n{}", problems.into_iter().collect::<Vec<_>>().join("\n"));
}
