//! Finding PostgreSQL's server programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Oldest major version that the schema is tested with.
const OLDEST: u32 = 15;

/// A folder with `postgres` and `initdb`, and its major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    pub bin: PathBuf,
    pub major: u32,
}

/// Looks at, in this order: `wanted` (an error if it does not fit), `pg_config --bindir`, `PATH`, and the folders of Debian's and
/// Red Hat's packages, the highest version first.
pub fn locate(wanted: Option<&Path>) -> Result<Programs> {
    if let Some(bin) = wanted {
        return match inspect(bin) {
            Some(found) if found.major >= OLDEST => Ok(found),
            Some(found) => bail!("postgres-bin {}: PostgreSQL {} is older than {OLDEST}", bin.display(), found.major),
            None => bail!("postgres-bin {}: there are no programs postgres and initdb that run", bin.display()),
        };
    }
    let mut candidates = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        candidates.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Some(path) = std::env::var_os("PATH") {
        candidates.extend(std::env::split_paths(&path));
    }
    let mut packaged: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr"]
        .iter()
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.starts_with("/usr/lib/postgresql") || path.to_string_lossy().contains("/pgsql-"))
        .map(|path| path.join("bin"))
        .collect();
    packaged.sort_by_key(|path| std::cmp::Reverse(digits(path)));
    candidates.extend(packaged);
    let found = candidates.iter().filter_map(|bin| inspect(bin)).find(|found| found.major >= OLDEST);
    match found {
        Some(found) => Ok(found),
        None => bail!(
            "no PostgreSQL server (version {OLDEST} or newer) was found on this machine: install it (Debian: apt-get install postgresql), \
             name its folder with --postgres-bin, or name a running server with --database-url"
        ),
    }
}

fn digits(path: &Path) -> u32 {
    let text = path.to_string_lossy();
    text.split(|c: char| !c.is_ascii_digit()).rfind(|part| !part.is_empty()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn inspect(bin: &Path) -> Option<Programs> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(Programs { bin: bin.to_owned(), major })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_programs_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = locate(Some(dir.path())).unwrap_err().to_string();
        assert!(error.starts_with("postgres-bin "), "{error}");
    }

    #[test]
    fn versions_sort_by_number() {
        assert!(digits(Path::new("/usr/lib/postgresql/15/bin")) > digits(Path::new("/usr/lib/postgresql/9/bin")));
    }
}
