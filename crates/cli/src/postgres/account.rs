//! The account that PostgreSQL runs under: ourselves, or `postgres`/`nobody` when we are root.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A user to drop to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// Whether this process is root: the owner of `/proc/self` is the effective user.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The account for PostgreSQL; `None` when this process can run it itself.
pub fn for_postgres() -> Result<Option<Account>> {
    if !is_root() {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    match ["postgres", "nobody"].iter().find_map(|name| lookup(&passwd, name)) {
        Some(account) => Ok(Some(account)),
        None => bail!("PostgreSQL never runs as root, and there is neither a user postgres nor nobody to run it"),
    }
}

fn lookup(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Account { uid, gid })
    })
}

/// Fails with a sentence if the account cannot reach `dir` because a parent is closed to it.
pub fn check_reachable(dir: &Path, account: Account) -> Result<()> {
    for parent in dir.ancestors().skip(1) {
        let Ok(meta) = std::fs::metadata(parent) else { continue };
        let (mode, execute) = (meta.mode(), 0o1);
        let shift = if meta.uid() == account.uid {
            6
        } else if meta.gid() == account.gid {
            3
        } else {
            0
        };
        if (mode >> shift) & execute == 0 {
            bail!(
                "data-dir {} cannot be reached by the user that PostgreSQL runs under (uid {}), because {} is closed to it; choose another --data-dir",
                dir.display(),
                account.uid,
                parent.display()
            );
        }
    }
    Ok(())
}

/// Gives a folder and everything in it to the account.
pub fn give(path: &Path, account: Account) -> Result<()> {
    let meta = std::fs::symlink_metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    if meta.uid() != account.uid || meta.gid() != account.gid {
        std::os::unix::fs::lchown(path, Some(account.uid), Some(account.gid))
            .with_context(|| format!("giving {} to uid {}", path.display(), account.uid))?;
    }
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
            give(&entry?.path(), account)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(lookup(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(lookup(passwd, "nobody"), None);
    }

    #[test]
    fn a_closed_parent_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Account { uid: 54_321, gid: 54_321 };
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = check_reachable(&closed.join("pg"), stranger).unwrap_err().to_string();
        assert!(error.contains("data-dir") && error.contains("closed"), "{error}");
    }
}
