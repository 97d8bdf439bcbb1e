//! Parses a request's path: the names from the folder down. Touches no file.

use std::path::{Component, Path, PathBuf};

use hyper::StatusCode;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Characters to escape in a path, besides control characters and non-ASCII ones.
const SPECIAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The requested path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Relative to the folder, with plain names only. Empty for the folder itself.
    pub(crate) path: PathBuf,
    /// Whether it ends with a slash, and so requests a folder.
    pub(crate) folder: bool,
}

impl Target {
    /// Parses the path of a request.
    ///
    /// # Errors
    ///
    /// The status of the response: the path is badly encoded, or doesn't lead down.
    pub(crate) fn parse(path: &str) -> Result<Self, StatusCode> {
        let path = path.strip_prefix('/').ok_or(StatusCode::BAD_REQUEST)?;
        let mut below = PathBuf::new();
        // Split before it is decoded: an encoded slash is part of a name, and no name contains one.
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let name = percent_decode_str(name).decode_utf8().map_err(|_| StatusCode::BAD_REQUEST)?;
            if name.contains('\0') {
                return Err(StatusCode::BAD_REQUEST);
            }
            // `..`, `.`, a slash in a name, and special names of some systems: drives, streams.
            let mut parts = Path::new(&*name).components();
            match (parts.next(), parts.next()) {
                (Some(Component::Normal(only)), None) if *only == *name => below.push(only),
                _ => return Err(StatusCode::NOT_FOUND),
            }
        }
        Ok(Self { path: below, folder: path.is_empty() || path.ends_with('/') })
    }

    /// The path that requests this as a folder, with a slash at the end.
    pub(crate) fn as_folder(&self) -> String {
        let mut written = String::from("/");
        for name in &self.path {
            // The names were UTF-8.
            written.extend(utf8_percent_encode(&name.to_string_lossy(), SPECIAL));
            written.push('/');
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Result<(String, bool), u16> {
        let target = Target::parse(path).map_err(|status| status.as_u16())?;
        Ok((target.path.to_str().unwrap().to_owned(), target.folder))
    }

    #[test]
    fn paths_lead_down() {
        assert_eq!(path("/"), Ok((String::new(), true)));
        assert_eq!(path("//"), Ok((String::new(), true)));
        assert_eq!(path("/a"), Ok(("a".to_owned(), false)));
        assert_eq!(path("/a/b.txt"), Ok(("a/b.txt".to_owned(), false)));
        assert_eq!(path("//a//b/"), Ok(("a/b".to_owned(), true)));
        assert_eq!(path("/..."), Ok(("...".to_owned(), false)));
        assert_eq!(path("/a%20b%C3%A4"), Ok(("a bä".to_owned(), false)));
        // Decoded only once.
        assert_eq!(path("/%252e%252e/x"), Ok(("%2e%2e/x".to_owned(), false)));
    }

    #[test]
    fn and_nowhere_else() {
        for up in ["/..", "/a/../..", "/%2e%2e/x", "/%2E./x", "/.%2e", "/.", "/%2e", "/..%2fx", "/a%2fb", "/%2fetc"] {
            assert_eq!(path(up), Err(404), "{up}");
        }
    }

    #[test]
    fn what_is_no_path_is_a_bad_request() {
        for bad in ["", "*", "a", "/%00", "/a%00b", "/%ff", "/%c0%ae%c0%ae"] {
            assert_eq!(path(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn a_folder_is_written_as_it_is_read() {
        for written in ["/", "/a/", "/a%20b/c%25/", "/%C3%A4/"] {
            assert_eq!(Target::parse(written).unwrap().as_folder(), written);
        }
        // Never the address of another host, whatever the slashes.
        assert_eq!(Target::parse("//elsewhere.example/x").unwrap().as_folder(), "/elsewhere.example/x/");
    }
}
