//! The boot archive, as far as the kernel looks at it: for the images of the first two programs.

use tar_no_std::TarArchiveRef;

/// A tar file that was checked.
#[derive(Clone, Debug)]
pub struct Archive<'a>(TarArchiveRef<'a>);

impl<'a> Archive<'a> {
    /// Checks an archive; `None` if it is none.
    pub fn open(bytes: &'a [u8]) -> Option<Archive<'a>> {
        TarArchiveRef::new(bytes).ok().map(Archive)
    }

    /// The bytes of the program `bin/NAME`.
    pub fn program(&self, name: &str) -> Option<&'a [u8]> {
        let mut files = self.0.entries();
        let found = files.find(|file| {
            let path = file.filename();
            let path = path.as_str().ok();
            path.and_then(|path| path.strip_prefix("bin/")) == Some(name)
        })?;
        Some(found.data())
    }
}
