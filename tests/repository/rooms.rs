//! In each crate a room uses only rooms below it.
//!
//! The order stands in the crate's `lib.rs`, as a drawing under the heading `# Rooms`: a line per
//! floor, the top floor first, the rooms of a floor separated by commas. Rooms of one floor do not
//! use each other. A room is a module at the top of the crate, with all that is in it. Code for
//! tests is left out.

#![allow(
    clippy::expect_used,
    reason = "test helpers: a failure here is the test's failure"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, ItemMod, Path as SynPath, UseTree,
    visit::{self, Visit},
};

/// The crates that have rooms.
const CRATES: [&str; 4] = [
    "actix-web-sse",
    "actix-web-sse-metrics",
    "actix-web-sse-redis",
    "sse-probe",
];

/// The floor of each room, counted from the top.
type Floors = BTreeMap<String, usize>;

fn sources(krate: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates")
        .join(krate)
        .join("src")
}

/// Reads the drawing.
fn floors(lib: &str) -> Floors {
    let drawing = lib
        .lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .skip_while(|line| *line != "# Rooms")
        .skip_while(|line| *line != "```text")
        .skip(1)
        .take_while(|line| *line != "```");
    let mut floors = Floors::new();
    for (floor, line) in drawing.enumerate() {
        let rooms = line.split("  ").next().unwrap_or_default();
        for room in rooms.split(',') {
            let known = floors.insert(room.trim().to_owned(), floor);
            assert_eq!(known, None, "{room} stands twice in the drawing");
        }
    }
    floors
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && {
                let text = quote(attribute);
                // `any(fuzzing, test)` is code for tests as well, `not(test)` is not.
                text.contains("test") && !text.contains("not(test") && !text.contains("not (test")
                    || text.contains("sse_loom") && !text.contains("not")
            }
    })
}

fn quote(attribute: &Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

/// Collects the paths that begin in this crate.
struct Uses {
    /// The module in which the visitor is.
    module: Vec<String>,
    /// The rooms that are used, and by which paths.
    rooms: BTreeMap<String, String>,
    /// Names that the crate's root exports from a room.
    exports: BTreeMap<String, String>,
}

impl Uses {
    fn add(&mut self, segments: &[String]) {
        let absolute = match segments.split_first() {
            Some((first, rest)) if first == "crate" => rest.to_vec(),
            Some((first, _)) if first == "super" || first == "self" => {
                let mut at = self.module.clone();
                let mut rest = segments;
                while let Some((word, next)) = rest.split_first() {
                    match word.as_str() {
                        "self" => {}
                        "super" => drop(at.pop()),
                        _ => break,
                    }
                    rest = next;
                }
                at.extend_from_slice(rest);
                at
            }
            _ => return,
        };
        let Some(room) = absolute.first() else { return };
        let room = self.exports.get(room).unwrap_or(room).clone();
        self.rooms
            .entry(room)
            .or_insert_with(|| segments.join("::"));
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_tree(&part.tree, &path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, &path);
                }
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Glob(_) => self.add(&path),
        }
    }
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            _ => &[],
        };
        if is_for_tests(attributes) {
            return;
        }
        if let Item::Use(item) = item {
            self.add_tree(&item.tree, &[]);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'ast SynPath) {
        let segments = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect::<Vec<_>>();
        self.add(&segments);
        visit::visit_path(self, path);
    }
}

/// What the crate's root exports, by name, and from which room.
fn exports(lib: &syn::File) -> BTreeMap<String, String> {
    fn walk(tree: &UseTree, room: Option<&str>, found: &mut BTreeMap<String, String>) {
        match tree {
            UseTree::Path(part) => {
                let name = part.ident.to_string();
                let room = match room {
                    None if name == "self" || name == "crate" => None,
                    None => Some(name),
                    Some(room) => Some(room.to_owned()),
                };
                walk(&part.tree, room.as_deref(), found);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    walk(tree, room, found);
                }
            }
            UseTree::Name(name) => {
                if let Some(room) = room {
                    found.insert(name.ident.to_string(), room.to_owned());
                }
            }
            UseTree::Rename(name) => {
                if let Some(room) = room {
                    found.insert(name.rename.to_string(), room.to_owned());
                }
            }
            UseTree::Glob(_) => {}
        }
    }
    let mut found = BTreeMap::new();
    for item in &lib.items {
        if let Item::Use(item) = item {
            walk(&item.tree, None, &mut found);
        }
    }
    found
}

/// The files of a module and of all that is in it, with the modules that they are.
fn files(folder: &Path, module: &[String], found: &mut Vec<(PathBuf, Vec<String>)>) {
    let mut entries = fs::read_dir(folder)
        .expect("the folder is read")
        .map(|entry| entry.expect("an entry").path())
        .collect::<Vec<_>>();
    entries.sort();
    for path in entries {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let mut at = module.to_vec();
        if path.is_dir() {
            at.push(name);
            files(&path, &at, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            if !["mod", "lib", "main"].contains(&name.as_str()) {
                at.push(name);
            }
            found.push((path, at));
        }
    }
}

/// The modules that are there for tests only, by path.
fn test_modules(file: &syn::File, module: &[String], found: &mut BTreeSet<Vec<String>>) {
    for item in &file.items {
        if let Item::Mod(item) = item
            && is_for_tests(&item.attrs)
        {
            let mut path = module.to_vec();
            path.push(item.ident.to_string());
            found.insert(path);
        }
    }
}

/// Which rooms use which rooms that they must not use.
fn objections(krate: &str) -> Vec<String> {
    let source = sources(krate);
    let text = fs::read_to_string(source.join("lib.rs")).expect("lib.rs is read");
    let floors = floors(&text);
    assert!(
        !floors.is_empty(),
        "{krate}: lib.rs has no drawing of rooms"
    );
    let lib = syn::parse_file(&text).expect("lib.rs is parsed");
    let exports = exports(&lib);

    let mut all = Vec::new();
    files(&source, &[], &mut all);
    let parsed = all
        .into_iter()
        .map(|(path, module)| {
            let text = fs::read_to_string(&path).expect("a source is read");
            let file = syn::parse_file(&text).expect("a source is parsed");
            (path, module, file)
        })
        .collect::<Vec<_>>();
    let mut for_tests = BTreeSet::new();
    for (_, module, file) in &parsed {
        test_modules(file, module, &mut for_tests);
    }

    let mut objections = Vec::new();
    for (path, module, file) in &parsed {
        let Some(room) = module.first() else { continue };
        if for_tests.iter().any(|tests| module.starts_with(tests)) {
            continue;
        }
        let path = path.strip_prefix(&source).expect("a source of this crate");
        let Some(floor) = floors.get(room) else {
            objections.push(format!("{}: {room} is not in the drawing", path.display()));
            continue;
        };
        let mut uses = Uses {
            module: module.clone(),
            rooms: BTreeMap::new(),
            exports: exports.clone(),
        };
        uses.visit_file(file);
        for (used, by) in uses.rooms {
            match floors.get(&used) {
                _ if used == *room => {}
                Some(below) if below > floor => {}
                Some(_) => objections.push(format!(
                    "{}: {room} uses {used}, which is not below it, by {by}",
                    path.display()
                )),
                None => objections.push(format!(
                    "{}: {by} names no room of the drawing",
                    path.display()
                )),
            }
        }
    }
    objections
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    for krate in CRATES {
        let objections = objections(krate);
        assert!(objections.is_empty(), "{krate}:\n{}", objections.join("\n"));
    }
}

#[test]
fn the_drawing_is_read_floor_by_floor() {
    let floors = floors("//! # Rooms\n//! ```text\n//! a, b  what they do\n//! c\n//! ```\n//! d");
    let expected = [("a", 0), ("b", 0), ("c", 1)];
    let expected = expected.map(|(room, floor)| (room.to_owned(), floor));
    assert_eq!(floors, Floors::from(expected));
}

#[test]
fn paths_of_every_form_are_seen() {
    let file = syn::parse_file(
        "use crate::{hub::{self, Hub}, Exported};
         use super::super::lane as other;
         fn f() { crate::protect::check(); let _: super::Local; }
         #[cfg(test)] mod tests { use crate::server::Server; }",
    )
    .expect("it is Rust");
    let mut uses = Uses {
        module: vec!["stream".into(), "end".into()],
        rooms: BTreeMap::new(),
        exports: BTreeMap::from([("Exported".into(), "event".into())]),
    };
    uses.visit_file(&file);
    let rooms = uses.rooms.into_keys().collect::<Vec<_>>();
    assert_eq!(rooms, ["event", "hub", "lane", "protect", "stream"]);
}
