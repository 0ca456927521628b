//! Passwords: which are allowed, and their hashes.
//!
//! Nothing here prints or logs a password or a hash.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHasher, Version};

/// Memory to verify a password, in KiB. This and the passes are the minimum that OWASP recommends for
/// Argon2id, as a Pi Zero has 512 MiB and one slow core.
const MEMORY: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
const VERSION: Version = Version::V0x13;
/// The most memory, in KiB, that a hash of another program may ask for.
const MAX_MEMORY: u32 = 64 * 1024;
/// The most passes that a hash of another program may ask for.
const MAX_PASSES: u32 = 10;

/// Capacity in blocks of 1 KiB to verify a password, used or not. glibc returns an allocation of more
/// than 32 MiB to the system at once; a smaller one would stay with each thread that ever verified a
/// password.
const RESERVED: usize = 33 * 1024;

/// Allowed lengths of a password, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=128;

/// The Argon2id hash of a password.
#[derive(Clone)]
pub struct Hash(PasswordHash);

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Hash")
    }
}

impl Hash {
    /// Reads a hash from a file with one line, as `dimmer password` prints it.
    ///
    /// # Errors
    /// The file cannot be read, or has other contents. The message names the file and does not quote it.
    pub fn read(file: &Path) -> anyhow::Result<Hash> {
        let name = file.display();
        let text = fs::read_to_string(file).with_context(|| {
            format!("password_file {name} cannot be read; make one with: dimmer password > {name}")
        })?;
        Hash::parse(text.trim_end()).with_context(|| format!("password_file {name}"))
    }

    fn parse(line: &str) -> anyhow::Result<Hash> {
        let hash = PasswordHash::new(line)
            .ok()
            .filter(|hash| hash.algorithm == ARGON2ID_IDENT)
            .filter(|hash| hash.version == Some(VERSION.into()))
            .filter(|hash| hash.salt.is_some() && hash.hash.is_some())
            .context("must be one line that dimmer password printed, $argon2id$…, and is not")?;
        let params = Params::try_from(&hash)
            .map_err(|_| anyhow!("must be a hash with parameters of Argon2id, and is not"))?;
        ensure!(
            params.m_cost() <= MAX_MEMORY && params.t_cost() <= MAX_PASSES,
            "must take at most {MAX_MEMORY} KiB (m) and {MAX_PASSES} passes (t), not {} and {}",
            params.m_cost(),
            params.t_cost()
        );
        Ok(Hash(hash))
    }

    /// Hashes a new password with a random salt.
    ///
    /// # Errors
    /// The password is not allowed; the message says which are.
    pub fn of(password: &str) -> anyhow::Result<Hash> {
        let length = password.chars().count();
        ensure!(
            LENGTH.contains(&length),
            "a password must have {} to {} characters, not {length}",
            LENGTH.start(),
            LENGTH.end()
        );
        ensure!(
            // A header could not carry these.
            !password.contains(char::is_control) && password.trim() == password,
            "a password must not have control characters, nor spaces at its ends"
        );
        let hash = hasher()?
            .hash_password(password.as_bytes())
            .map_err(|error| anyhow!("cannot hash the password: {error}"))?;
        Ok(Hash(hash))
    }

    /// Whether this is the hash of `password`; `None` if there is not enough memory to tell. Takes a
    /// second on a slow Pi, and 19 MiB.
    pub fn matches(&self, password: &[u8]) -> Option<bool> {
        // A character has at most four bytes.
        if password.len() > 4 * LENGTH.end() {
            return Some(false);
        }
        let mut memory = Vec::new();
        memory.try_reserve_exact(self.blocks().max(RESERVED)).ok()?;
        Some(self.verify(password, memory).unwrap_or(false))
    }

    fn blocks(&self) -> usize {
        Params::try_from(&self.0).map_or(0, |params| params.block_count())
    }

    fn verify(&self, password: &[u8], mut memory: Vec<Block>) -> Option<bool> {
        let (salt, expected) = (self.0.salt?, self.0.hash?);
        let params = Params::try_from(&self.0).ok()?;
        memory.resize(params.block_count(), Block::new());
        let mut output = vec![0; expected.len()];
        Argon2::new(Algorithm::Argon2id, VERSION, params)
            .hash_password_into_with_memory(password, &salt, &mut output, &mut memory)
            .ok()?;
        // The comparison takes constant time.
        Some(Output::new(&output).ok()? == expected)
    }

    /// The line for the file.
    pub fn line(&self) -> String {
        self.0.to_string()
    }
}

fn hasher() -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(|error| anyhow!("{error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, VERSION, params))
}

/// Asks for a new password: in a terminal twice and without showing it, otherwise reads a line of
/// standard input.
///
/// # Errors
/// Nothing can be read, or the two passwords differ.
pub fn ask() -> anyhow::Result<String> {
    let error = "cannot read the password";
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line).context(error)?;
        return Ok(line.trim_end_matches(['\r', '\n']).into());
    }
    // Prompts on the terminal, as standard output is for the hash.
    let password = rpassword::prompt_password("New password: ").context(error)?;
    let again = rpassword::prompt_password("Once more: ").context(error)?;
    ensure!(password == again, "the two passwords differ");
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_password_alone_and_no_two_are_equal() {
        let hash = Hash::of("correct horse").unwrap();
        let line = hash.line();
        assert!(
            line.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{line}"
        );
        assert_ne!(line, Hash::of("correct horse").unwrap().line());
        let hash = Hash::parse(&line).unwrap();
        assert_eq!(hash.matches(b"correct horse"), Some(true));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert_eq!(hash.matches(wrong.as_bytes()), Some(false), "{wrong:?}");
        }
        assert!(!format!("{hash:?}").contains('$'));
    }

    #[test]
    fn a_text_that_is_not_a_hash_is_refused_without_quoting_it() {
        let line = Hash::of("correct horse").unwrap().line();
        for (text, expected) in [
            ("", "must be one line"),
            ("correct horse", "must be one line"),
            ("$argon2id$v=19$m=19456,t=2,p=1", "must be one line"),
            (&line.replace("argon2id", "argon2i"), "must be one line"),
            (&format!("{line}\n{line}"), "must be one line"),
            (&line.replace("m=19456", "m=1048576"), "not 1048576 and 2"),
            (&line.replace("t=2", "t=99"), "not 19456 and 99"),
        ] {
            let error = Hash::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave {error:?}");
            assert!(!error.contains("horse") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_password_that_is_not_allowed_is_refused_with_the_reason() {
        for (password, expected) in [
            ("", "8 to 128 characters, not 0"),
            ("1234567", "8 to 128 characters, not 7"),
            (&"ã".repeat(129), "8 to 128 characters, not 129"),
            ("tab\tinside", "control characters"),
            (" spaces ", "spaces at its ends"),
        ] {
            let error = Hash::of(password).unwrap_err().to_string();
            assert!(error.contains(expected), "{password:?} gave {error:?}");
        }
        assert!(Hash::of(&"ã".repeat(128)).is_ok());
    }
}
