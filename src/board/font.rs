//! Whether the screen can show Chinese. Asked of fontconfig, which Pango asks too; no GStreamer here.

use std::ffi::{CStr, c_char, c_int, c_void};

/// What fontconfig knows of fonts with Chinese characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chinese {
    /// These families have them.
    Found(Vec<String>),
    /// No font has them: they show as boxes.
    Missing,
    /// fontconfig is not installed, so there is no text at all.
    Unknown,
}

impl Chinese {
    /// What is wrong and what cures it; `None` when nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        match self {
            Self::Found(_) => None,
            Self::Missing => Some(
                "no font here has Chinese characters: they show as boxes; install fonts-noto-cjk, fonts-wqy-microhei or fonts-wqy-zenhei",
            ),
            Self::Unknown => {
                Some("fontconfig is missing, so the screen shows no text; install libfontconfig1")
            }
        }
    }
}

/// The start of `FcFontSet` (fontconfig.h).
#[repr(C)]
struct FontSet {
    count: c_int,
    room: c_int,
    fonts: *mut *mut c_void,
}

/// Looks for fonts that cover simplified Chinese.
#[must_use]
pub fn chinese() -> Chinese {
    type Parse = unsafe extern "C" fn(*const c_char) -> *mut c_void;
    type Make = unsafe extern "C" fn() -> *mut c_void;
    type Add = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
    type List = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void) -> *mut FontSet;
    type Get = unsafe extern "C" fn(*mut c_void, *const c_char, c_int, *mut *const c_char) -> c_int;
    // SAFETY: fontconfig's C functions by their published signatures (fontconfig.h). What they return is kept until the
    // process ends: it is small and asked for once.
    let found = unsafe {
        let library = libc::dlopen(c"libfontconfig.so.1".as_ptr(), libc::RTLD_NOW);
        if library.is_null() {
            return Chinese::Unknown;
        }
        let find = |name: &CStr| {
            let found = libc::dlsym(library, name.as_ptr());
            (!found.is_null()).then_some(found)
        };
        let functions = (|| {
            Some((
                std::mem::transmute::<*mut c_void, Parse>(find(c"FcNameParse")?),
                std::mem::transmute::<*mut c_void, Make>(find(c"FcObjectSetCreate")?),
                std::mem::transmute::<*mut c_void, Add>(find(c"FcObjectSetAdd")?),
                std::mem::transmute::<*mut c_void, List>(find(c"FcFontList")?),
                std::mem::transmute::<*mut c_void, Get>(find(c"FcPatternGetString")?),
            ))
        })();
        let Some((parse, make, add, list, get)) = functions else { return Chinese::Unknown };
        let wanted = make();
        add(wanted, c"family".as_ptr());
        let set = list(std::ptr::null_mut(), parse(c":lang=zh-cn".as_ptr()), wanted);
        let Some(set) = set.as_ref() else { return Chinese::Missing };
        let mut families = Vec::new();
        for index in 0..set.count.max(0) as usize {
            let mut name = std::ptr::null();
            if get(*set.fonts.add(index), c"family".as_ptr(), 0, &raw mut name) == 0 && !name.is_null() {
                families.push(CStr::from_ptr(name).to_string_lossy().into_owned());
            }
        }
        families
    };
    if found.is_empty() {
        return Chinese::Missing;
    }
    let mut found = found;
    found.sort();
    found.dedup();
    Chinese::Found(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_that_setup_installs_has_chinese() {
        let Chinese::Found(families) = chinese() else { panic!("run boards/setup.sh run: {:?}", chinese()) };
        assert!(families.iter().all(|family| !family.is_empty()), "{families:?}");
    }

    #[test]
    fn what_is_missing_comes_with_its_cure() {
        assert!(Chinese::Missing.trouble().is_some_and(|text| text.contains("fonts-noto-cjk")));
        assert_eq!(Chinese::Found(vec!["x".into()]).trouble(), None);
    }
}
