//! What a request's path means: the names on the way down from the folder. Looks at no file.

use std::path::{Component, Path, PathBuf};

use hyper::StatusCode;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a name in a path is written with, beyond control characters and what isn't ASCII.
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

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Below the folder, plain names only; empty for the folder itself.
    pub(crate) path: PathBuf,
    /// Whether it ended with a slash: a folder is asked for.
    pub(crate) folder: bool,
}

impl Target {
    /// Of a path as it stands in a request.
    ///
    /// # Errors
    ///
    /// The status of the answer: it is badly encoded, or leads anywhere but down.
    pub(crate) fn parse(path: &str) -> Result<Self, StatusCode> {
        let path = path.strip_prefix('/').ok_or(StatusCode::BAD_REQUEST)?;
        let mut below = PathBuf::new();
        // Divided before it is decoded: an encoded slash is part of a name, and no name has one.
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let name = percent_decode_str(name).decode_utf8().map_err(|_| StatusCode::BAD_REQUEST)?;
            if name.contains('\0') {
                return Err(StatusCode::BAD_REQUEST);
            }
            // `..` and `.`, a slash within, and what else the system has: drives, streams.
            let mut parts = Path::new(&*name).components();
            match (parts.next(), parts.next()) {
                (Some(Component::Normal(only)), None) if *only == *name => below.push(only),
                _ => return Err(StatusCode::NOT_FOUND),
            }
        }
        Ok(Self { path: below, folder: path.is_empty() || path.ends_with('/') })
    }

    /// As a request for the folder would have it, with a slash at the end.
    pub(crate) fn as_folder(&self) -> String {
        let mut written = String::from("/");
        for name in &self.path {
            // Names come from UTF-8.
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
        // Only once.
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
        // Never an address of another host, whatever slashes were asked for.
        assert_eq!(Target::parse("//elsewhere.example/x").unwrap().as_folder(), "/elsewhere.example/x/");
    }
}
