//! What many types have: names of members, setters.

/// Defines an enumeration with a name for each member: `ALL`, `as_str`, `Display` and `Serialize`.
macro_rules! named {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$member_attribute:meta])* $member:ident = $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name {
            $($(#[$member_attribute])* $member,)+
        }

        impl $name {
            /// Every member, in order.
            pub const ALL: &[Self] = &[$(Self::$member),+];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

/// A setter for each of these fields; it takes the value and returns the same with it.
macro_rules! setters {
    ($($(#[$attribute:meta])* $visibility:vis $field:ident: $type:ty,)+) => {$(
        $(#[$attribute])*
        #[must_use]
        $visibility fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )+};
}
