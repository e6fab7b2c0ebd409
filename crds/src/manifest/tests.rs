use super::*;

const GOOD: &str = r#"# shop
apiVersion: nanomon.io/v1alpha1
kind: Monitor
metadata: {name: shop-home, namespace: shop}
spec:
  displayName: Shop home page
  interval: 30s
  http:
    url: https://shop.example/health
    headers:
      - {name: Accept, value: application/json}
---
# nothing here
---
apiVersion: nanomon.io/v1alpha1
kind: Monitor
metadata:
  name: db
  labels: {tier: "1"}
spec:
  interval: 10s
  tcp: {address: "db.example:5432"}
  rule: null
"#;

fn errors(text: &str) -> Vec<String> {
    read(text).errors.iter().map(ToString::to_string).collect()
}

fn with_spec(spec: &str) -> String {
    let indented = spec.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
    format!("apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata: {{name: a}}\nspec:\n{indented}\n")
}

#[test]
fn several_documents_are_read() {
    let manifest = read(GOOD);
    assert_eq!(manifest.errors, []);
    let found: Vec<_> = manifest.documents.iter().map(|d| (d.namespace(), d.name(), d.location.line)).collect();
    assert_eq!(found, [("shop", "shop-home", 2), ("default", "db", 15)]);
    assert_eq!(manifest.documents[0].def.display_name, "Shop home page");
    assert_eq!(manifest.documents[1].def.target.address(), "db.example:5432");
    assert_eq!(manifest.documents[1].def.rule, None);
}

#[test]
fn json_and_lists_are_read() {
    let text = r#"{"apiVersion":"v1","kind":"List","items":[
      {"apiVersion":"nanomon.io/v1alpha1","kind":"Monitor","metadata":{"name":"a"},"spec":{"ping":{"host":"::1"}}},
      {"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"}}]}"#;
    let manifest = read(text);
    assert_eq!(manifest.documents.len(), 1);
    assert_eq!(manifest.errors[0].location.line, 3);
    assert!(manifest.errors[0].message.contains("kind \"Secret\""), "{:?}", manifest.errors);
}

#[test]
fn a_list_without_items_is_a_fault() {
    for text in ["apiVersion: v1\nkind: List\n", "apiVersion: v1\nkind: List\nitems: {}\n"] {
        let errors = read(text).errors;
        assert_eq!(errors.len(), 1, "{text:?}");
        assert_eq!(
            (errors[0].path.as_str(), errors[0].message.as_str()),
            ("items", "items must be a list of Monitors")
        );
    }
}

#[test]
fn nothing_is_no_fault() {
    for text in ["", "# only a comment\n", "---\n---\n"] {
        let manifest = read(text);
        assert!(manifest.documents.is_empty() && manifest.errors.is_empty(), "{text:?}: {:?}", manifest.errors);
    }
}

#[test]
fn faults_have_line_column_field_and_sentence() {
    for (text, expected) in [
        (with_spec("htpp: {url: http://a.example}"), "5:3: spec.htpp: htpp is no field of spec; did you mean http?"),
        (with_spec("http: {}"), "5:3: spec.http: url is missing"),
        (with_spec("http:\n  url: ftp://a.example"), "6:5: spec.http.url: url must begin with http:// or https://"),
        (
            with_spec("interval: 5\nhttp: {url: http://a.example}"),
            "5:3: spec.interval: interval must be a text (in quotes, if it looks like a number or true/false)",
        ),
        (
            with_spec(
                "http:\n  url: http://a.example\n  headers:\n  - name: A\n    value: a\n  - name: B\n    valeu: b",
            ),
            "10:7: spec.http.headers[1]: value is missing",
        ),
        (
            with_spec("dns: {name: a.example, recordType: SRV}"),
            "5:26: spec.dns.recordType: recordType must be one of A, AAAA, CNAME, TXT, MX, NS",
        ),
        (with_spec("ping: {host: a.example, count: 2.5}"), "5:27: spec.ping.count: count must be a whole number"),
        (with_spec("suspend: maybe\nping: {host: a.example}"), "5:3: spec.suspend: suspend must be true or false"),
        (
            with_spec("ping: {host: a.example}\ntcp: {address: 'a.example:1'}"),
            "4:1: spec: exactly one of http, tcp, ping and dns must be set",
        ),
        (
            "apiVersion: nanomon.io/v1\nkind: Monitor\n".to_owned(),
            "1:1: apiVersion: apiVersion \"nanomon.io/v1\" is unknown for a Monitor; expected is kind: Monitor with apiVersion: nanomon.io/v1alpha1",
        ),
        ("- a\n".to_owned(), "1:1: the document must be an object with apiVersion, kind, metadata and spec"),
        (
            "apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata: {name: A_b}\nspec: {ping: {host: a}}\n"
                .to_owned(),
            "3:12: metadata.name: name must consist of lower-case letters, digits, hyphens and dots, 253 characters at most, as in shop-home",
        ),
    ] {
        let found = errors(&text);
        assert!(found.iter().any(|error| error == expected), "{text}\nexpected {expected}\nfound    {found:#?}");
    }
}

#[test]
fn broken_yaml_is_a_sentence_with_a_place() {
    for text in ["a: [", "a: b: c", "\t- x", "a: &x *y", "'", "%", "a: 'b\n", "{", "\u{0}", "a: !!binary x"] {
        let found = read(text);
        assert_eq!(found.documents.len(), 0);
        assert!(!found.errors.is_empty(), "{text:?}");
        assert!(found.errors.iter().all(|e| e.location.line >= 1 && !e.message.contains('\n')), "{:?}", found.errors);
    }
}

#[test]
fn one_bad_document_does_not_hide_the_good_ones() {
    let text =
        format!("{GOOD}---\napiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata: {{name: bad}}\nspec: {{}}\n");
    let manifest = read(&text);
    assert_eq!(manifest.documents.len(), 2);
    assert_eq!(errors(&text), ["28:1: spec: exactly one of http, tcp, ping and dns must be set"]);
}

#[test]
fn twins_in_a_file_are_refused() {
    let text = format!("{}---\n{}", with_spec("ping: {host: a}"), with_spec("ping: {host: b}"));
    let manifest = read(&text);
    assert_eq!(manifest.documents.len(), 1);
    assert_eq!(errors(&text), ["7:1: metadata.name: Monitor default/a stands already at line 1"]);
}

#[test]
fn written_manifests_read_the_same() {
    let manifest = read(GOOD);
    let monitors: Vec<&Monitor> = manifest.documents.iter().map(|d| &d.monitor).collect();
    let text = write(monitors.iter().copied());
    let again = read(&text);
    assert_eq!(again.errors, [], "{text}");
    for (one, two) in manifest.documents.iter().zip(&again.documents) {
        assert_eq!(one.monitor, two.monitor, "{text}");
    }
    assert!(!text.contains("suspend") && !text.contains("runnerPools"), "{text}");
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "(apiVersion|kind|spec|[a-z:{}\\[\\]&*!|>'\"%#, \n\t-]){0,60}") {
        let _ = read(&text);
    }
}
