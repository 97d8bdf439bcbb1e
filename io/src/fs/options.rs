//! Options to open a file or to create a folder. Leaves what they mean to the system.

use std::io;
use std::path::Path;

use super::File;
use crate::blocking::unblock;

/// Options to open a [`File`], as in [`std::fs::OpenOptions`]. Each one is `false` by default.
///
/// # Examples
///
/// ```
/// use polyexec_io::fs::OpenOptions;
///
/// # async fn f() -> std::io::Result<()> {
/// let log = OpenOptions::new().append(true).create(true).open("log.txt").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std::fs::OpenOptions);

/// Setters of one option each.
macro_rules! options {
    ($($(#[doc = $doc:literal])+ $option:ident;)+) => {$(
        $(#[doc = $doc])+
        pub fn $option(&mut self, $option: bool) -> &mut Self {
            self.0.$option($option);
            self
        }
    )+};
}

impl OpenOptions {
    /// All options are `false`.
    pub fn new() -> Self {
        Self(std::fs::OpenOptions::new())
    }

    options! {
        /// Allows reads.
        read;
        /// Allows writes, which overwrite existing bytes.
        write;
        /// Allows writes, which append to the file.
        append;
        /// Truncates the file. Needs `write`.
        truncate;
        /// Creates the file if it doesn't exist. Needs `write` or `append`.
        create;
        /// Creates the file, which must not exist. Needs `write` or `append`.
        create_new;
    }

    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound`, `PermissionDenied`, `AlreadyExists` and so on. `InvalidInput` if the options contradict each
    /// other.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may have created or truncated the file.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        unblock(move || options.open(path)).await.map(File::from)
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Options to create a folder, as in [`std::fs::DirBuilder`].
///
/// # Examples
///
/// ```
/// use polyexec_io::fs::DirBuilder;
///
/// # async fn f() -> std::io::Result<()> {
/// DirBuilder::new().recursive(true).create("some/folder").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    #[cfg(unix)]
    mode: Option<u32>,
}

impl DirBuilder {
    /// Not recursive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates missing parents, too. Then a folder that exists is no error.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Creates the folder at `path`.
    ///
    /// # Errors
    ///
    /// The system's: `NotFound` for a missing parent, `AlreadyExists`, `PermissionDenied` and so on.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may have created the folder.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref().to_owned();
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.recursive);
        #[cfg(unix)]
        if let Some(mode) = self.mode {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
        }
        unblock(move || builder.create(path)).await
    }
}

#[cfg(unix)]
pub(super) mod unix {
    use super::{DirBuilder, OpenOptions};

    /// Options for Unix, of files.
    pub trait OpenOptionsExt: sealed::Sealed {
        /// The permissions of a created file, before the `umask`. The default is `0o666`.
        fn mode(&mut self, mode: u32) -> &mut Self;

        /// Further flags for `open`, except the access mode.
        fn custom_flags(&mut self, flags: i32) -> &mut Self;
    }

    /// Options for Unix, of folders.
    pub trait DirBuilderExt: sealed::Sealed {
        /// The permissions of a created folder, before the `umask`. The default is `0o777`.
        fn mode(&mut self, mode: u32) -> &mut Self;
    }

    impl OpenOptionsExt for OpenOptions {
        fn mode(&mut self, mode: u32) -> &mut Self {
            std::os::unix::fs::OpenOptionsExt::mode(&mut self.0, mode);
            self
        }

        fn custom_flags(&mut self, flags: i32) -> &mut Self {
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut self.0, flags);
            self
        }
    }

    impl DirBuilderExt for DirBuilder {
        fn mode(&mut self, mode: u32) -> &mut Self {
            self.mode = Some(mode);
            self
        }
    }

    mod sealed {
        pub trait Sealed {}

        impl Sealed for super::DirBuilder {}
        impl Sealed for super::OpenOptions {}
    }
}

#[cfg(windows)]
pub(super) mod windows {
    use super::OpenOptions;

    /// Options for Windows: arguments of `CreateFile`.
    pub trait OpenOptionsExt: sealed::Sealed {
        /// `dwDesiredAccess`.
        fn access_mode(&mut self, access: u32) -> &mut Self;

        /// `dwShareMode`.
        fn share_mode(&mut self, share: u32) -> &mut Self;

        /// The flags of `dwFlagsAndAttributes`.
        fn custom_flags(&mut self, flags: u32) -> &mut Self;

        /// The attributes of `dwFlagsAndAttributes`.
        fn attributes(&mut self, attributes: u32) -> &mut Self;

        /// `dwSecurityQosFlags`.
        fn security_qos_flags(&mut self, flags: u32) -> &mut Self;
    }

    /// Forwards each option.
    macro_rules! options {
        ($($option:ident),+) => {$(
            fn $option(&mut self, $option: u32) -> &mut Self {
                std::os::windows::fs::OpenOptionsExt::$option(&mut self.0, $option);
                self
            }
        )+};
    }

    impl OpenOptionsExt for OpenOptions {
        options!(access_mode, share_mode, custom_flags, attributes, security_qos_flags);
    }

    mod sealed {
        pub trait Sealed {}

        impl Sealed for super::OpenOptions {}
    }
}
