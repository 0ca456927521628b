//! The layers of the code, held against its imports: docs/design.md lists them.
//!
//! Test code is left out: it may build anything from anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// Functions of the model that change a watched value and may be called from outside the model: they
/// report what the hardware or the broker did, or that a time is over, and are no commands.
const REPORTS: [&str; 3] = ["end_trial", "finish_sunrise", "report_fault"];
/// The calls that change a watched value.
const CHANGES: [&str; 5] = [
    ".send()",
    ".send_modify()",
    ".send_if_modified()",
    ".send_replace()",
    ".modify()",
];
/// The only file that may spawn tasks and threads, so that each of them is watched.
const SUPERVISOR: &str = "platform::supervisor";
/// The thread of a pin, which blocks on a watched future.
const PIN: &str = "pin";

/// A module, by its path below the crate: `web::live::socket`.
type Module = String;

/// What the test wants to know of a file.
#[derive(Default)]
struct Source {
    /// The child modules that it declares.
    children: BTreeSet<String>,
    /// The paths that it names, from `crate`, `super`, `self` or a child on.
    paths: Vec<Vec<String>>,
    /// The types that it defines.
    types: Vec<String>,
    /// The functions that others may call, with their bodies.
    public_functions: Vec<(String, String)>,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

impl Source {
    fn read(file: &Path) -> Source {
        let text = fs::read_to_string(file).unwrap();
        let mut source = Source::default();
        let parsed = syn::parse_file(&text).unwrap();
        // The children first: a path may begin with one.
        for item in &parsed.items {
            if let Item::Mod(module) = item
                && module.content.is_none()
                && !is_test(&module.attrs)
            {
                source.children.insert(module.ident.to_string());
            }
        }
        source.visit_file(&parsed);
        source
    }

    fn add_path(&mut self, path: Vec<String>) {
        let first = path[0].as_str();
        if matches!(first, "crate" | "super" | "self" | "dimmer") || self.children.contains(first) {
            self.paths.push(path);
        }
    }

    fn add_use(&mut self, mut path: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_use(path, &part.tree);
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.add_path(path);
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.add_path(path);
            }
            UseTree::Glob(_) => self.add_path(path),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(path.clone(), tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, defined) = match item {
            Item::Const(item) => (&item.attrs, None),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, None),
            Item::Impl(item) => (&item.attrs, None),
            Item::Mod(item) => (&item.attrs, None),
            Item::Static(item) => (&item.attrs, None),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_test(attributes) {
            return;
        }
        self.types.extend(defined.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(Vec::new(), &item.tree);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if is_test(&function.attrs) {
            return;
        }
        if is_visible_outside(&function.vis) {
            let mut calls = Calls(String::new());
            calls.visit_block(&function.block);
            self.public_functions
                .push((function.sig.ident.to_string(), calls.0));
        }
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        let attributes: &[Attribute] = match statement {
            syn::Stmt::Local(local) => &local.attrs,
            syn::Stmt::Expr(syn::Expr::MethodCall(call), _) => &call.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if !is_test(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let names: Vec<_> = segments.map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.add_path(names);
        }
        visit::visit_path(self, path);
    }
}

/// Whether others than the parent module can name something.
fn is_visible_outside(visibility: &syn::Visibility) -> bool {
    match visibility {
        syn::Visibility::Public(_) => true,
        syn::Visibility::Restricted(to) => !to.path.is_ident("super") && !to.path.is_ident("self"),
        syn::Visibility::Inherited => false,
    }
}

/// The methods that are called somewhere, one after the other.
struct Calls(String);

impl<'ast> Visit<'ast> for Calls {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.0 += &format!(".{}() ", call.method);
        visit::visit_expr_method_call(self, call);
    }
}

/// All modules of the program with what they import from each other.
struct Code {
    sources: BTreeMap<Module, Source>,
}

impl Code {
    fn read() -> Code {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sources = BTreeMap::new();
        // Stands in for modules that are read here, in builds that leave those out.
        let without = root.join("without");
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path == without {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let module = path.strip_prefix(&root).unwrap().with_extension("");
                    sources.insert(name(&module), Source::read(&path));
                }
            }
        }
        // Its only imports are the modules it declares.
        sources.remove("lib");
        Code { sources }
    }

    /// The modules that each module imports from.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let imports = |module: &Module, source: &Source| {
            let paths = source.paths.iter();
            paths
                .filter_map(|path| self.resolve(module, path))
                .filter(|other| *other != module.as_str())
                .collect()
        };
        let sources = self.sources.iter();
        sources
            .map(|(module, source)| (module.as_str(), imports(module, source)))
            .collect()
    }

    /// The module that a path in this module leads to.
    fn resolve(&self, module: &str, path: &[String]) -> Option<&str> {
        let mut parts: Vec<&str> = match path[0].as_str() {
            "crate" | "dimmer" => Vec::new(),
            // main declares its children beside itself.
            _ if module == "main" => Vec::new(),
            _ => module.split("::").collect(),
        };
        for part in path {
            match part.as_str() {
                "crate" | "dimmer" | "self" => {}
                "super" => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        while !parts.is_empty() {
            if let Some((module, _)) = self.sources.get_key_value(&parts.join("::")) {
                return Some(module);
            }
            parts.pop();
        }
        None
    }
}

fn name(module: &Path) -> Module {
    let parts = module.components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_str().unwrap())
        .collect();
    parts.join("::")
}

fn top_module(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The modules of each layer in docs/design.md, from the top down.
fn layers() -> Vec<BTreeSet<String>> {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/design.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once("\n## Layers\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let layers: Vec<BTreeSet<_>> = rows
        .map(|row| {
            let modules = row.split('|').nth(1).unwrap().split('`');
            modules.skip(1).step_by(2).map(String::from).collect()
        })
        .collect();
    assert!(layers.len() > 3, "the table of docs/design.md: {layers:?}");
    layers
}

/// A way from this module back to itself, if there is one.
fn circle<'a>(
    start: &'a str,
    imports: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in &imports[way.last().unwrap()] {
            let mut longer = way.clone();
            longer.push(next);
            if *next == start {
                return Some(longer);
            }
            if seen.insert(*next) {
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_import_points_to_a_higher_layer_or_within_one() {
    let code = Code::read();
    let layers = layers();
    let layer = |module: &str| {
        let found = layers.iter().position(|modules| modules.contains(module));
        found.unwrap_or_else(|| panic!("docs/design.md lists no module `{module}`"))
    };
    let mut wrong = Vec::new();
    let (mut edges, mut between_modules) = (0, BTreeSet::new());
    for (module, imports) in code.imports() {
        for other in imports {
            edges += 1;
            let (from, to) = (top_module(module), top_module(other));
            if from != to {
                between_modules.insert((from, to));
                if layer(to) <= layer(from) {
                    wrong.push(format!("{module} imports from {other}"));
                }
            }
        }
    }
    let files = code.sources.len();
    println!(
        "{files} modules, {edges} imports between them, {} pairs of top-level modules",
        between_modules.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
    let modules: BTreeSet<_> = code
        .sources
        .keys()
        .map(|module| top_module(module))
        .collect();
    for listed in layers.iter().flatten() {
        assert!(
            modules.contains(listed.as_str()),
            "there is no module {listed}"
        );
    }
}

#[test]
fn no_module_imports_from_itself_by_way_of_others() {
    let code = Code::read();
    let imports = code.imports();
    let circles: Vec<_> = imports
        .keys()
        .filter_map(|module| circle(module, &imports))
        .map(|way| way.join(" > "))
        .collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn the_name_of_a_type_stands_once() {
    let code = Code::read();
    let mut modules = BTreeMap::<_, Vec<_>>::new();
    for (module, source) in &code.sources {
        for name in &source.types {
            modules.entry(name).or_default().push(module);
        }
    }
    modules.retain(|_, modules| modules.len() > 1);
    assert!(modules.is_empty(), "{modules:#?}");
}

#[test]
fn only_the_supervisor_spawns_tasks_and_threads() {
    let code = Code::read();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in code.sources.keys() {
        if module == SUPERVISOR || module == PIN {
            continue;
        }
        let file = root.join(module.replace("::", "/")).with_extension("rs");
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("\n#[cfg(test)]").next().unwrap();
        for call in [
            "task::spawn(",
            "tokio::spawn(",
            "thread::spawn(",
            "thread::Builder",
        ] {
            assert!(!code.contains(call), "{module} calls {call}");
        }
    }
}

#[test]
fn nothing_but_the_hub_changes_lights_presets_and_timers() {
    let code = Code::read();
    for module in ["model::lights", "model::presets", "model::timers"] {
        for (function, calls) in &code.sources[module].public_functions {
            let changes = CHANGES.iter().any(|call| calls.contains(call));
            assert!(
                !changes || REPORTS.contains(&function.as_str()),
                "{module}::{function} can be called from outside the model"
            );
        }
    }
}
