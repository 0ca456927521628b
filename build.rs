//! Prepares and compresses the files of `web/`, which a release build holds. A debug build reads them at run time
//! instead, so a change of the page needs no build.

#[path = "src/web/assets/prepare.rs"]
mod prepare;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prepare::WebFolder;
use zopfli::{Format, Options};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(embedded_page)");
    // Of every profile that derives from `release` or `bench`.
    if env::var_os("PROFILE").is_none_or(|profile| profile != "release") {
        return Ok(());
    }
    println!("cargo::rustc-cfg=embedded_page");
    println!("cargo::rerun-if-changed=web");
    println!("cargo::rerun-if-changed=src/web/assets/prepare.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let sources = WebFolder::read(Path::new("web"))?;
    let mut arms = String::new();
    for name in sources.files.keys() {
        for name in [name.clone(), format!("{name}.gz")] {
            if let Some(content) = sources.prepare(&name, gzip) {
                let file = out.join(name.replace('/', "+"));
                fs::write(&file, content)?;
                arms += &format!("        {name:?} => include_bytes!({file:?}),\n");
            }
        }
    }
    let version = sources.version;
    let folder = prepare::folder(version);
    let code = format!(
        "/// The path of the files of this version, relative to `/`.\n\
         pub fn folder() -> String {{\n    {folder:?}.into()\n}}\n\n\
         pub fn version() -> u64 {{\n    {version}\n}}\n\n\
         pub fn file(name: &str) -> Option<Cow<'static, [u8]>> {{\n    \
             let content: &[u8] = match name {{\n{arms}        _ => return None,\n    }};\n    \
             Some(Cow::Borrowed(content))\n}}\n"
    );
    fs::write(out.join("page.rs"), code)
}

/// As small as gzip can be: some 4 % less than what `flate2` makes, in a hundred times its time.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    zopfli::compress(Options::default(), Format::Gzip, bytes, &mut compressed)
        .expect("memory takes all that is written");
    compressed
}
