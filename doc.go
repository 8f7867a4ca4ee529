// Package pagestate keeps a component's server state in the page that shows it.
//
// A component is a piece of a page with state of its own: a filtered list, a
// row being edited, a wizard. Its state is a Go value of a registered type. It
// travels as a token, which is the value encrypted: the page holds it, each
// request brings it along, the middleware turns it back into the value, the
// handler changes it, and the response carries the next token. The server
// stores nothing, so any server that has the secret can answer any request.
//
//	registry := pagestate.NewRegistry()
//	pagestate.Register[Counter](registry, "counter")
//	mw, err := pagestate.New(registry, pagestate.Options{
//		Secrets: [][]byte{secret},
//		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
//	})
//	…
//	http.ListenAndServe(addr, mw.Handler(mux))
//
// A handler that shows a page is made with [HandlePage]. It asks [FromOrAttach] for
// the state, and puts its token into the page with [Token] or [Field], or with the
// methods of an embedded [Component]. A handler that the page calls is made with
// [Handle]. It changes the state, and answers with the next page or with
// [Redirect], which carries the state there. A component whose [Loader] says that
// what it refers to is gone is answered with 410, so that the browser can take it
// off the page.
//
// # What to call
//
//   - At start-up: [NewRegistry], [Register], [New], [Middleware.Handler]. What tokens
//     are bound to: [Cookie], [Session], [SessionFunc], [Unbound].
//   - Handlers: [Handle], [HandlePage]. In them: [From], [FromOrAttach], [Attach], and
//     [Child] and [Under] for a component in a component.
//   - Pages: [Component] in html/template, [Token] and [Field] elsewhere, [PublicJSON]
//     for scripts.
//   - The next page: [Redirect], [Link].
//   - Data that is fetched again: [Loader], [LoadWith], [RegisterModel],
//     [RegisterQuery], [RegisterBlocks]; other types: [RegisterCodec].
//   - Errors: [ErrStale] and the others, [StaleError], [Status], [WriteError], [Discard].
//   - Login and logout: Options.User, [Middleware.Renew].
//   - Tokens that are used once: [Guard], [NewGuard].
//   - Deploys and keys: [Schema], [Migrate], [Middleware.SetSecrets].
//   - Size: [Compressed], [Budget], Options.MaxTokenBytes.
//   - Without a request: [Middleware.Seal], [Middleware.Open], [Middleware.Reseal],
//     [Middleware.Owner].
//   - Requests and metrics of other kinds: [Source], [Binding], [Carrier], [Observer].
//
// # When to use it
//
// For what belongs to one page and is not worth a row in a database: which tab
// is open, what a form has gathered so far, which arguments a list was fetched
// with. Unlike values in a session, it does not collide between two tabs, and
// needs no store. Unlike hidden fields, nobody can read or change it.
//
// # When not to use it
//
//   - For much data: each request carries it both ways. Save what it takes to
//     fetch the data, and fetch it in Load.
//   - For decisions: a role, a price or "verified" in an old token is old
//     authority. Save what they are derived from.
//   - For what must happen once: whoever holds a token can send it again until it
//     expires, and go on from there. Options.Guard lets each token be used once,
//     by POST and the like, but knows one page alone.
//   - For secrets that the server must be able to take back: a token cannot be
//     revoked by itself, only with its session, its user or all others.
//   - Across origins: the session cookie is SameSite=Lax unless that is set
//     otherwise, and an unsafe request that carries a token must come from the same
//     origin, or one that Options.CrossOrigin trusts.
//
// # What a state may hold
//
// Booleans, numbers, strings, byte slices, arrays, slices, maps, structs,
// pointers to these, and named types of these; recursive types; time.Time,
// big.Int, big.Rat, big.Float, netip.Addr, netip.AddrPort, netip.Prefix,
// url.URL; what sql.Null and encoding/json's RawMessage and Number hold; the
// typed strings of html/template; other registered components; and interfaces
// that hold one of these or a basic type. Types of other packages with
// unexported fields need a [RegisterCodec], and so do types of your own in which
// no field is exported. The first [New] checks all of it and reports every fault
// with its path.
//
// What can be fetched again is saved as a reference: a row of a database as its
// key, with [RegisterModel]; a query as its name and arguments, with
// [RegisterQuery]; a template as its name, with [RegisterBlocks]. What a
// component's Load fills is not saved at all. A component may have others below
// it, each with state and a token of its own: see [Under] and [Child].
//
// Values are saved by kind and structure, and no method of theirs is called.
// Two pointers to one value come back as two values, and a cycle is an error.
// Of a time the name of its zone is lost, and its offset stays, so save the name
// beside it where days are counted over a change of the clocks; of a big.Float
// the accuracy is lost.
//
// # Around it
//
// Package form fills the public fields of a state from an HTML form or a query, and
// package upload keeps the files that visitors send.
// Package client serves the script for the browser, package pagestatetest
// helps to test handlers, and package inspect shows developers what is in a token, as
// the command pagestate does. The modules adapter/ginstate, adapter/echostate and
// adapter/echo4state mount the middleware in Gin and Echo, adapter/redisstate has a
// [Guard] and a [Carrier] for several servers, adapter/blobstate keeps files in a
// bucket, and adapter/otelstate has an [Observer] for OpenTelemetry.
//
// # Security
//
// A token is encrypted and authenticated by Fernet (AES-128-CBC and
// HMAC-SHA-256), with a key derived by HKDF from the application's secret, the
// visitor's session and user. It opens for that session and that user alone. A
// token made with a stolen secret can hold wrong data; it cannot run code, name
// a type that is not registered, or take more memory and time than its size
// allows. [docs/token.md] specifies the format, which stays readable for at least
// one release after it changes.
//
// A token is no protection against cross-site request forgery by itself: the
// middleware therefore has every unsafe request that carries one pass
// [http.CrossOriginProtection]. Its length is visible.
//
// [docs/token.md]: https://github.com/pagestate/pagestate/blob/main/docs/token.md
package pagestate

// The files, for whoever changes this package. A request passes them from top to
// bottom:
//
//	middleware.go  the options, and the handlers that a request passes
//	exchange.go    one request: what acts, what may be sealed, what was sent
//	source.go      where its tokens are
//	visitor.go     whose it is: owner, keys, the binding's cookies
//	session.go     the bindings
//	instance.go    one component on one page: from token to state and back
//	load.go        what a component loads, and so does not save
//	model.go, query.go, block.go
//	               what is saved by name and key
//	guard.go       tokens that are used once
//	context.go, child.go
//	               what a handler calls
//	redirect.go, parcel.go, carrier.go
//	               states that go over a redirect, and what keeps them meanwhile
//	writer.go      the first byte of the response
//	headers.go     what its headers must not say
//	stale.go       errors, and their answers
//	log.go         what is logged, and how often
//
// Beside that way stand registry.go, what may be sealed; token.go, sealing and
// opening without a request, for package inspect too; public.go, what the page sees of
// a state; migrate.go, states of former versions; compress.go, budget.go and
// observer.go.
//
// This is the way of a token, function by function:
//
//	Middleware.Handler
//	  newExchange
//	  exchange.open
//	    findTokens                Source.Tokens
//	    arrived                   passes tokens over that are older than what was carried
//	    openActing
//	      Middleware.checkToken   token.CheckForm: before the session is read
//	      visitor.existing        Binding.Existing, Options.User, keyring
//	      Middleware.authenticate Keyring.Open, token.ParseEnvelope
//	      Middleware.resume
//	        Ages.Check, checkComponent, decompressData, Plan.Decode
//	        resolve               Model.Fetch, References.Resolve
//	        instance.migrate      the functions of Migrate, for a former version
//	        instance.load         Load
//	      instance.claim          Guard.Claim
//	      act
//	  the handler                 From, FromOrAttach, Attach, Child, Token
//	  writer.proceed              before the first byte
//	    exchange.begin
//	      commit
//	        visitor.begin
//	        headerToken           changedToken or, after an error, arrivedToken
//	          instance.seal       Plan.Same or encode, compressData, Keyring.Seal
//	      writeHeaders            mergeCookies, keepPrivate
//	  exchange.finish             warns of what was not sealed
//
// A state that is redirected goes from Redirect through link, carry, pack and
// visitor.put to Carrier.Put, and comes back through FromOrAttach, arrived, receive,
// Carrier.Get, unpack, openCarried, Middleware.resume and settle.
