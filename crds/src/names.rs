//! Object names for display names.

/// Characters in an object name that this makes; room is left for a hash on collision.
const NAME_CHARS: usize = 57;

/// A valid object name for a display name: lower case, ASCII letters and digits, everything else one hyphen. A name
/// without any usable character becomes `monitor`.
pub fn object_name_for(display_name: &str) -> String {
    let mut name = String::new();
    for c in display_name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= NAME_CHARS {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "monitor".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs() {
        for (display, name) in [
            ("My API!", "my-api"),
            ("  Shop -- home page ", "shop-home-page"),
            ("Überwachung", "berwachung"),
            ("…", "monitor"),
            ("", "monitor"),
            ("404", "404"),
        ] {
            assert_eq!(object_name_for(display), name);
        }
    }

    proptest! {
        #[test]
        fn names_are_dns_labels(display in ".{0,300}") {
            let name = object_name_for(&display);
            prop_assert!(crate::grammar::IS_POOL_NAME.matches(&name), "{name}");
        }
    }
}
