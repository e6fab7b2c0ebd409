//! A DSN as libpq writes it, taken apart into keys and values: `key=value` pairs or a URL.

use crate::settings::SettingsError;

/// The pairs of a DSN in the order in which they stand; a later one wins.
pub(crate) fn dsn_pairs(dsn: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let dsn = dsn.trim();
    match dsn.strip_prefix("postgres://").or_else(|| dsn.strip_prefix("postgresql://")) {
        Some(rest) => url_pairs(rest),
        None if dsn.contains("://") => Err(SettingsError(
            "the DSN must be key=value pairs or a URL that begins with postgres:// or postgresql://".to_owned(),
        )),
        None => keyword_pairs(dsn),
    }
}

/// libpq's rules: blanks around `=` are allowed; `'…'` quotes; `\` makes the next character plain.
fn keyword_pairs(dsn: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let mut pairs = Vec::new();
    let mut chars = dsn.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.next() {
            None if key.is_empty() => return Ok(pairs),
            Some('=') if key.is_empty() => return Err(SettingsError("the DSN has a value without a key".to_owned())),
            Some('=') => {}
            // The key is not repeated: a DSN given in a wrong form may hold the password here.
            _ => {
                return Err(SettingsError("the DSN has a word without \"=\": expected key=value pairs".to_owned()));
            }
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut value = String::new();
        if chars.next_if_eq(&'\'').is_some() {
            loop {
                match chars.next() {
                    Some('\'') => break,
                    Some('\\') => value.extend(chars.next()),
                    Some(c) => value.push(c),
                    None => {
                        return Err(SettingsError(format!("the DSN's value of \"{key}\" has no closing quote")));
                    }
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                if c == '\\' { value.extend(chars.next()) } else { value.push(c) }
            }
        }
        pairs.push((key, value));
    }
}

/// `[user[:password]@][host[:port][,…]][/database][?key=value[&…]]`, percent-encoded.
fn url_pairs(rest: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let mut pairs = Vec::new();
    let mut push = |key: &str, value: &str| -> Result<(), SettingsError> {
        if !value.is_empty() {
            pairs.push((key.to_owned(), percent_decode(key, value)?));
        }
        Ok(())
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    push("user", user)?;
    push("password", password)?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[') {
            Some(ipv6) => {
                let (name, after) = ipv6
                    .split_once(']')
                    .ok_or_else(|| SettingsError("the DSN's host has \"[\" without \"]\"".to_owned()))?;
                (name, after.strip_prefix(':').unwrap_or(after))
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(name);
        ports.push(port);
    }
    push("host", names.join(",").trim_matches(','))?;
    if ports.iter().any(|port| !port.is_empty()) {
        push("port", &ports.join(","))?;
    }
    push("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| SettingsError("the DSN has a parameter without \"=\" after \"?\"".to_owned()))?;
        push(&percent_decode("a parameter", key)?, value)?;
    }
    Ok(pairs)
}

fn percent_decode(key: &str, text: &str) -> Result<String, SettingsError> {
    let fault = || SettingsError(format!("the DSN's {key} has a wrong percent-encoding"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or_else(fault);
        let (high, low) = (digit()?, digit()?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(dsn: &str) -> Vec<(String, String)> {
        dsn_pairs(dsn).unwrap()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn keyword_pairs_follow_libpq() {
        assert_eq!(
            pairs(r"host = /run/pg  user=a password='b c\'d\\' dbname=x\ y options=''"),
            owned(&[("host", "/run/pg"), ("user", "a"), ("password", r"b c'd\"), ("dbname", "x y"), ("options", "")])
        );
        assert_eq!(pairs("  "), []);
        for bad in ["host", "host=a stray", "='x'", "password='open"] {
            let fault = dsn_pairs(bad).unwrap_err().to_string();
            assert!(fault.starts_with("the DSN"), "{fault}");
        }
    }

    #[test]
    fn urls_follow_libpq() {
        assert_eq!(
            pairs("postgresql://u%40x:p%3A%2F@h1:1,[::1]:2/d%20b?sslmode=require&application_name=a%3Db"),
            owned(&[
                ("user", "u@x"),
                ("password", "p:/"),
                ("host", "h1,::1"),
                ("port", "1,2"),
                ("dbname", "d b"),
                ("sslmode", "require"),
                ("application_name", "a=b"),
            ])
        );
        assert_eq!(pairs("postgres://%2Frun%2Fpg/d"), owned(&[("host", "/run/pg"), ("dbname", "d")]));
        assert_eq!(pairs("postgres:///d?host=/run/pg"), owned(&[("dbname", "d"), ("host", "/run/pg")]));
        for bad in ["postgres://[::1/d", "postgres://h/d%2", "postgres://h/?x", "mysql://h/d", "postgres://h/%ff"] {
            assert!(dsn_pairs(bad).is_err(), "{bad}");
        }
    }
}
