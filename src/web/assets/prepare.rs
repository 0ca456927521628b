//! Prepares the page's files for sending. The build script does so for release builds, and debug builds do so at each
//! request.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

/// The page's files as they are in `web/`.
pub struct WebFolder {
    /// By their paths below the folder.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Differs whenever a file does.
    pub version: u64,
}

impl WebFolder {
    /// Reads all files below a folder.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(folder: &Path) -> io::Result<WebFolder> {
        let mut files = BTreeMap::new();
        read_folder(folder, "", &mut files)?;
        let mut hasher = DefaultHasher::new();
        files.hash(&mut hasher);
        Ok(WebFolder {
            files,
            version: hasher.finish(),
        })
    }

    /// The file as it is sent; with `.gz` behind its name, compressed by `gzip`, if it is no picture.
    pub fn prepare(&self, name: &str, gzip: fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
        match name.strip_suffix(".gz") {
            None => self.plain(name),
            // Pictures are compressed as they are.
            Some(name) if name.ends_with(".png") => None,
            Some(name) => self.plain(name).map(|file| gzip(&file)),
        }
    }

    fn plain(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.files.get(name)?;
        if name.ends_with(".js") {
            Some(code_alone(&String::from_utf8_lossy(file)).into_bytes())
        } else if name.ends_with(".css") {
            let sheet = self.with_imports(&String::from_utf8_lossy(file));
            Some(code_alone(&sheet).into_bytes())
        } else if name.ends_with(".html") {
            let page = String::from_utf8_lossy(file);
            Some(page.replace("{assets}", &folder(self.version)).into_bytes())
        } else {
            Some(file.clone())
        }
    }

    /// The style sheet with what it imports in place, which a browser would ask for only after it has the sheet.
    fn with_imports(&self, sheet: &str) -> String {
        let lines = sheet.lines().map(|line| {
            let file = imported(line).and_then(|name| self.files.get(name));
            file.map_or(line.into(), |file| String::from_utf8_lossy(file))
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// The path of the sheet that this line of a style sheet imports, relative to `web/`.
fn imported(line: &str) -> Option<&str> {
    line.strip_prefix("@import \"")?.strip_suffix("\";")
}

/// The path of the files of a version.
pub fn folder(version: u64) -> String {
    format!("assets/{version:016x}")
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// A script or style sheet without the lines that hold only a comment, and without indentation: a third of
/// the compressed bytes, most of it types for the type check. Empty lines take the place of comments, so that
/// browsers report the line numbers of the files.
fn code_alone(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let (mut in_block, mut in_template) = (false, false);
    for line in source.lines() {
        let text = line.trim();
        let opens = text.starts_with("/*") && (text.ends_with("*/") || !text.contains("*/"));
        let is_comment = in_block || opens || text.starts_with("//");
        if in_block || opens {
            in_block = !text.ends_with("*/");
        }
        if !is_comment {
            code.push_str(if in_template { line } else { text });
            in_template ^= line.matches('`').count() % 2 == 1;
        }
        code.push('\n');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_lose_their_comments_and_indentation_but_no_code_and_no_line() {
        let script = "// Why.
/** @type {number} */
let a = 1; // ms
/**
 * What.
 * @param {string} b
 */
function c(b) {
  // Reason.
  return /** @type {any} */ (b) + `
    <p>`;
}
/** @type {any} */ (d);
";
        let code = "

let a = 1; // ms




function c(b) {

return /** @type {any} */ (b) + `
    <p>`;
}
/** @type {any} */ (d);
";
        assert_eq!(code_alone(script), code);
    }

    #[test]
    fn style_sheets_do_so_too() {
        let sheet = "/* Why.
   More. */
a {
  color: red; /* Not blue. */
  /* Reason. */
}
";
        assert_eq!(
            code_alone(sheet),
            "\n\na {\ncolor: red; /* Not blue. */\n\n}\n"
        );
    }

    #[test]
    fn a_style_sheet_has_what_it_imports_in_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b.css"), "b {}\n").unwrap();
        let sheet = "@import \"a/b.css\";\n@import \"gone.css\";\nc {}\n";
        fs::write(folder.path().join("c.css"), sheet).unwrap();
        let sources = WebFolder::read(folder.path()).unwrap();
        let prepared = sources.prepare("c.css", <[u8]>::to_vec).unwrap();
        assert_eq!(
            String::from_utf8(prepared).unwrap(),
            "b {}\n\n@import \"gone.css\";\nc {}\n"
        );
    }

    /// In a template literal, which may span lines, such a line would be text.
    #[test]
    fn no_line_of_a_template_literal_looks_like_a_comment() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let sources = WebFolder::read(&folder).unwrap();
        for (name, file) in sources
            .files
            .iter()
            .filter(|(name, _)| name.ends_with(".js"))
        {
            let script = str::from_utf8(file).unwrap();
            let mut backticks = 0;
            for (line, code) in script.lines().zip(code_alone(script).lines()) {
                assert!(line == code || backticks % 2 == 0, "{name}: {line}");
                backticks += code.matches('`').count();
            }
            assert_eq!(backticks % 2, 0, "{name}");
        }
    }

    #[test]
    fn the_version_changes_with_each_file_and_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let version = || WebFolder::read(folder.path()).unwrap().version;
        let mut versions = vec![version()];
        fs::write(folder.path().join("a.js"), "1").unwrap();
        versions.push(version());
        assert_eq!(version(), versions[1]);
        fs::write(folder.path().join("a.js"), "2").unwrap();
        versions.push(version());
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::rename(folder.path().join("a.js"), folder.path().join("b/a.js")).unwrap();
        versions.push(version());
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), 4);
    }
}
