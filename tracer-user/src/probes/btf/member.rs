//! Where a field is, by its path: `task_struct.thread_info.status`.

use super::{
    Btf, BtfError, MAX_DEPTH, Member,
    layout::{Kind, Type},
};

/// The most members that are looked at for one part of a path: many times what `task_struct` has.
/// Nested anonymous types could otherwise be made to stand for billions.
const MAX_MEMBERS: u32 = 1 << 16;

impl Btf {
    /// Finds a field by path: a struct's name, then members, through typedefs and through anonymous
    /// structs and unions.
    ///
    /// # Errors
    /// Says which part of the path is missing, ambiguous or not addressable by bytes.
    pub fn member(&self, path: &str) -> Result<Member, BtfError> {
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let members: Vec<&str> = parts.collect();
        let mut found: Option<Result<Member, BtfError>> = None;
        for id in self.named(name, |kind| matches!(kind, Kind::Struct | Kind::Union)) {
            let member = self.follow(id, name, &members);
            match &found {
                None => found = Some(member),
                Some(first) if *first == member => {}
                Some(_) => return Err(BtfError::Ambiguous(path.to_owned())),
            }
        }
        found.unwrap_or_else(|| Err(BtfError::NoType(name.to_owned())))
    }

    /// As [`member`](Self::member), and checks that the field has `size` bytes.
    ///
    /// # Errors
    /// As there, and [`BtfError::Shape`] if it has another size.
    pub fn member_sized(&self, path: &str, size: u32) -> Result<Member, BtfError> {
        let member = self.member(path)?;
        if member.size != size {
            return Err(BtfError::Shape {
                path: path.to_owned(),
                found: format!("{} bytes", member.size),
                expected: size,
            });
        }
        Ok(member)
    }

    fn follow(&self, root: u32, name: &str, members: &[&str]) -> Result<Member, BtfError> {
        let (mut ty, mut name, mut offset) = (root, name.to_owned(), 0_u32);
        for &member in members {
            let no_member = || BtfError::NoMember { ty: name.clone(), member: member.to_owned() };
            let (_, outer) = self.types.resolve(ty)?;
            if !matches!(outer.kind, Kind::Struct | Kind::Union) {
                return Err(no_member());
            }
            let mut budget = MAX_MEMBERS;
            let (at, inner) = self.find(&outer, member, 0, &mut budget)?.ok_or_else(no_member)?;
            offset = offset.checked_add(at).ok_or_else(no_member)?;
            ty = inner;
            name = format!("{name}.{member}");
        }
        Ok(Member { offset, size: self.size(ty)? })
    }

    /// The member's byte offset and type, also if an anonymous member holds it.
    fn find(
        &self,
        outer: &Type,
        wanted: &str,
        depth: usize,
        budget: &mut u32,
    ) -> Result<Option<(u32, u32)>, BtfError> {
        for index in 0..outer.vlen {
            if depth == MAX_DEPTH || *budget == 0 {
                return Err(BtfError::TooDeep(wanted.to_owned()));
            }
            *budget -= 1;
            let [name, ty, place] = self.types.entry(outer, index)?;
            let (bits, bitfield) =
                if outer.flag { (place & 0x00ff_ffff, place >> 24) } else { (place, 0) };
            if name == 0 {
                let (_, inner) = self.types.resolve(ty)?;
                if matches!(inner.kind, Kind::Struct | Kind::Union)
                    && let Some((at, ty)) = self.find(&inner, wanted, depth + 1, budget)?
                {
                    return Ok(Some((bits / 8 + at, ty)));
                }
            } else if self.types.name_is(name, wanted) {
                if bitfield != 0 || bits % 8 != 0 {
                    return Err(BtfError::format(format!("{wanted} is a bit field")));
                }
                return Ok(Some((bits / 8, ty)));
            }
        }
        Ok(None)
    }

    fn size(&self, ty: u32) -> Result<u32, BtfError> {
        let (mut id, mut count) = (ty, 1_u32);
        for _ in 0..MAX_DEPTH {
            let (_, ty) = self.types.resolve(id)?;
            let size = match ty.kind {
                Kind::Ptr => 8,
                Kind::Array => {
                    let [element, _, len] = self.types.entry(&ty, 0)?;
                    count = count.saturating_mul(len);
                    id = element;
                    continue;
                }
                Kind::Int
                | Kind::Enum
                | Kind::Enum64
                | Kind::Float
                | Kind::Struct
                | Kind::Union => ty.word,
                _ => 0,
            };
            return Ok(count.saturating_mul(size));
        }
        Err(BtfError::TooDeep("an array".to_owned()))
    }
}
