//! Gives `\d`, `\s`, `\w` and `\b` in a regular expression their ASCII meaning.

use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet,
    ClassSetItem, Flag, Flags, FlagsItem, FlagsItemKind, Group, GroupKind,
};

/// Rewrites the tree in place. It recurses as deep as groups nest, which the parser has bounded.
pub(super) fn restrict(ast: &mut Ast) {
    match ast {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) => {}
        Ast::ClassPerl(perl) => {
            let span = perl.span;
            let kind = ClassSet::Item(ClassSetItem::Ascii(ascii_class(perl)));
            *ast = Ast::ClassBracketed(Box::new(ClassBracketed { span, negated: false, kind }));
        }
        Ast::ClassBracketed(class) => restrict_set(&mut class.kind),
        Ast::Assertion(assertion) => {
            if is_word_boundary(assertion) {
                *ast = without_unicode(Ast::Assertion(assertion.clone()));
            }
        }
        Ast::Repetition(repetition) => restrict(&mut repetition.ast),
        Ast::Group(group) => restrict(&mut group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter_mut().for_each(restrict),
        Ast::Concat(concat) => concat.asts.iter_mut().for_each(restrict),
    }
}

fn restrict_set(set: &mut ClassSet) {
    match set {
        ClassSet::Item(item) => restrict_item(item),
        ClassSet::BinaryOp(operation) => {
            restrict_set(&mut operation.lhs);
            restrict_set(&mut operation.rhs);
        }
    }
}

fn restrict_item(item: &mut ClassSetItem) {
    match item {
        ClassSetItem::Empty(_)
        | ClassSetItem::Literal(_)
        | ClassSetItem::Range(_)
        | ClassSetItem::Ascii(_)
        | ClassSetItem::Unicode(_) => {}
        ClassSetItem::Perl(perl) => *item = ClassSetItem::Ascii(ascii_class(perl)),
        ClassSetItem::Bracketed(class) => restrict_set(&mut class.kind),
        ClassSetItem::Union(union) => union.items.iter_mut().for_each(restrict_item),
    }
}

fn ascii_class(perl: &ClassPerl) -> ClassAscii {
    let kind = match perl.kind {
        ClassPerlKind::Digit => ClassAsciiKind::Digit,
        ClassPerlKind::Space => ClassAsciiKind::Space,
        ClassPerlKind::Word => ClassAsciiKind::Word,
    };
    ClassAscii { span: perl.span, kind, negated: perl.negated }
}

fn is_word_boundary(assertion: &Assertion) -> bool {
    match assertion.kind {
        AssertionKind::StartLine | AssertionKind::EndLine | AssertionKind::StartText | AssertionKind::EndText => false,
        AssertionKind::WordBoundary
        | AssertionKind::NotWordBoundary
        | AssertionKind::WordBoundaryStart
        | AssertionKind::WordBoundaryEnd
        | AssertionKind::WordBoundaryStartAngle
        | AssertionKind::WordBoundaryEndAngle
        | AssertionKind::WordBoundaryStartHalf
        | AssertionKind::WordBoundaryEndHalf => true,
    }
}

/// `(?-u:…)`
fn without_unicode(ast: Ast) -> Ast {
    let span = *ast.span();
    let item = |kind| FlagsItem { span, kind };
    let items = vec![item(FlagsItemKind::Negation), item(FlagsItemKind::Flag(Flag::Unicode))];
    let kind = GroupKind::NonCapturing(Flags { span, items });
    Ast::Group(Box::new(Group { span, kind, ast: Box::new(ast) }))
}
