//! Object names and uids for monitors that no API server names.

use nanomon_core::slot;
use nanomon_crds::object_name_for;
use nanomon_sql::MonitorId;

/// The object name for a display name, with five characters of a hash if the plain one is taken.
pub fn object_name(display_name: &str, id: MonitorId, taken: impl Fn(&str) -> bool) -> String {
    let plain = object_name_for(display_name);
    if !taken(&plain) {
        return plain;
    }
    hashed_name(&plain, id)
}

/// The name with a hash of the id, which no other monitor has.
pub fn hashed_name(plain: &str, id: MonitorId) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut seed = [0; 16];
    seed[..4].copy_from_slice(&id.to_be_bytes());
    let hash = slot::hash(&seed);
    let suffix: String = (0..5).map(|i| char::from(LETTERS[(hash >> (5 * i)) as usize % LETTERS.len()])).collect();
    format!("{plain}-{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_collide_into_a_hash() {
        assert_eq!(object_name("My API!", 1, |_| false), "my-api");
        let second = object_name("My API!", 2, |name| name == "my-api");
        assert!(second.starts_with("my-api-") && second.len() == "my-api-".len() + 5, "{second}");
        assert_ne!(second, object_name("My API!", 3, |name| name == "my-api"));
        assert!(crate::definition::is_label(&object_name(&"x".repeat(300), 4, |_| true)));
    }
}
