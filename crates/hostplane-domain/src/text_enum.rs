//! Enums with one stable text form, in the database, in labels and in the API.

/// The error for a text that names no value of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct BadText(pub(crate) &'static str);

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident, $bad:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable text form, used in the database and the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text_enum::BadText;
            fn from_str(text: &str) -> Result<Self, $crate::text_enum::BadText> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or($crate::text_enum::BadText($bad))
            }
        }
    };
}

pub(crate) use text_enum;
