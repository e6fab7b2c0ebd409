//! The dashboard: the files of `frontend/dist`, compiled in.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::config::ApiConfig;
use crate::error::ApiError;
use crate::routes::if_none_match;

#[derive(RustEmbed)]
#[folder = "../frontend/dist"]
#[exclude = ".gitkeep"]
#[exclude = "*.map"]
struct Dist;

/// Shown when the program was built without the dashboard.
const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>NanoMon</title>
<h1>The dashboard is not part of this build</h1>
<p>Build it before the program: <code>make build</code>, or <code>npm ci &amp;&amp; npm run build</code> in
<code>frontend/</code> and then <code>cargo build</code>.</p>
<p>The API works all the same: <a href=\"/api/docs\">/api/docs</a>.</p>
</html>
";

/// A file, or the page for everything that the dashboard itself routes.
pub fn serve(config: &ApiConfig, path: &str, headers: &HeaderMap) -> Response {
    let name = path.trim_start_matches('/');
    if let Some(file) = Dist::get(name).filter(|_| name != "index.html") {
        return show(name, &file, headers);
    }
    if !is_page(name, headers) {
        return ApiError::new(StatusCode::NOT_FOUND, "there is no such file").into_response();
    }
    if let Some(file) = Dist::get("index.html") {
        return show("index.html", &file, headers);
    }
    let page = NOT_BUILT.replace("</html>", &format!("<p>Version {}</p>\n</html>", config.version));
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], page).into_response()
}

/// A deep link of the dashboard rather than a missing file: nothing below the folder of assets, and asked for by somebody
/// who takes a page.
fn is_page(name: &str, headers: &HeaderMap) -> bool {
    let takes_html = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    takes_html && !name.starts_with("assets/")
}

fn show(name: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    use std::fmt::Write as _;
    let mut etag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..12] {
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    // Names below assets/ carry a hash of their content.
    let caching = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let shared = [(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, caching)];
    if if_none_match(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let kind = match file.metadata.mimetype() {
        kind if kind.starts_with("text/") => format!("{kind}; charset=utf-8"),
        kind => kind.to_owned(),
    };
    (shared, [(header::CONTENT_TYPE, kind)], Body::from(file.data.clone())).into_response()
}
