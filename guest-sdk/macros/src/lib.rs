//! The `#[kernel]` attribute. Use it through `p2c2r_guest::kernel`, which documents it with examples.
#![forbid(unsafe_code)]

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, ItemFn};

/// Makes a function the kernel of its crate: exports it as `p2c2r_main` when built for `wasm32`, and leaves it an
/// ordinary function everywhere.
///
/// The function takes nothing, an input, a `&mut Context`, or a `&mut Context` and an input. An input is any type that
/// is `p2c2r_guest::Decode`, or `&[u8]`; what it returns is any type that is `p2c2r_guest::Encode`. One kernel a crate.
#[proc_macro_attribute]
pub fn kernel(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(attribute.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(attribute: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(syn::Error::new_spanned(attribute, "#[kernel] takes no arguments; limits belong in p2c2r.toml"));
    }
    let function: ItemFn = syn::parse2(item)?;
    check(&function)?;
    let name = &function.sig.ident;
    Ok(quote! {
        #function

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = "p2c2r_main")]
            extern "C" fn p2c2r_main() -> i32 {
                ::p2c2r_guest::entry(#name)
            }
        };

        // Native builds export nothing, but a kernel of the wrong shape is an error there too.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> i32 = || ::p2c2r_guest::entry(#name);
    })
}

/// Refuses what the types alone would refuse with a message nobody understands.
fn check(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        return Err(syn::Error::new_spanned(token, "a kernel runs to its end: it cannot be async"));
    }
    if let Some(token) = &signature.unsafety {
        return Err(syn::Error::new_spanned(
            token,
            "a kernel is called by the host with any input: it cannot be unsafe",
        ));
    }
    if let Some(token) = &signature.abi {
        return Err(syn::Error::new_spanned(token, "#[kernel] exports the function itself: remove `extern`"));
    }
    let generic = signature.generics.params.iter().find(|p| !matches!(p, syn::GenericParam::Lifetime(_)));
    if let Some(parameter) = generic {
        return Err(syn::Error::new_spanned(parameter, "a kernel cannot be generic: nobody is there to choose"));
    }
    let mut arguments = signature.inputs.iter();
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        return Err(syn::Error::new_spanned(receiver, "a kernel is a free function"));
    }
    if let Some(extra) = arguments.nth(2) {
        return Err(syn::Error::new_spanned(extra, "a kernel takes at most a `&mut Context` and one input"));
    }
    let mut context_first = signature.inputs.iter().skip(1).filter(|a| is_mutable_reference(a));
    if let Some(late) = context_first.next() {
        return Err(syn::Error::new_spanned(late, "the `&mut Context` comes first"));
    }
    Ok(())
}

fn is_mutable_reference(argument: &FnArg) -> bool {
    match argument {
        FnArg::Typed(typed) => matches!(&*typed.ty, syn::Type::Reference(r) if r.mutability.is_some()),
        FnArg::Receiver(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_and_keeps_the_function() {
        let out = expand(TokenStream::new(), quote! { pub fn decide(input: In) -> Out { think(input) } })
            .map(|tokens| tokens.to_string());
        let out = out.expect("a plain function expands");
        for part in ["pub fn decide", "export_name = \"p2c2r_main\"", "p2c2r_guest :: entry (decide)"] {
            assert!(out.contains(part), "{part:?} missing in {out}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_called() {
        let check = |attribute: TokenStream, item: TokenStream, part: &str| {
            let error = expand(attribute, item).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        };
        let nothing = TokenStream::new;
        check(quote!(fuel = 1), quote! { fn f() {} }, "takes no arguments");
        check(nothing(), quote! { async fn f() {} }, "cannot be async");
        check(nothing(), quote! { unsafe fn f() {} }, "cannot be unsafe");
        check(nothing(), quote! { extern "C" fn f() {} }, "remove `extern`");
        check(nothing(), quote! { fn f<T>(input: T) {} }, "cannot be generic");
        check(nothing(), quote! { fn f(&self) {} }, "free function");
        check(nothing(), quote! { fn f(c: &mut Context, a: A, b: B) {} }, "at most");
        check(nothing(), quote! { fn f(a: A, c: &mut Context) {} }, "comes first");
        check(nothing(), quote! { struct S; }, "expected");
    }
}
