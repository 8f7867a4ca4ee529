module github.com/pagestate/pagestate

go 1.26.0

require (
	github.com/fernet/fernet-go v0.0.0-20240119011108-303da6aec611
	github.com/gorilla/sessions v1.4.0
	github.com/klauspost/compress v1.20.4
	golang.org/x/crypto v0.58.0
	golang.org/x/net v0.62.0
)

require github.com/gorilla/securecookie v1.1.2 // indirect
