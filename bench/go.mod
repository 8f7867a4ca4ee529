module github.com/pagestate/pagestate/bench

go 1.26.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/fernet/fernet-go v0.0.0-20240119011108-303da6aec611
	github.com/fxamacker/cbor/v2 v2.10.0
	github.com/gorilla/securecookie v1.1.2
	github.com/gorilla/sessions v1.4.0
	github.com/pagestate/pagestate v0.0.0
	golang.org/x/crypto v0.58.0
	golang.org/x/perf v0.0.0-20260709024250-82a0b07e230d
)

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/x448/float16 v0.8.4 // indirect
)

replace github.com/pagestate/pagestate => ../
