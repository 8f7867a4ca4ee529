module github.com/pagestate/pagestate/adapter/echostate

go 1.26.0

require (
	github.com/labstack/echo/v5 v5.4.4
	github.com/pagestate/pagestate v0.0.0
)

require (
	github.com/fernet/fernet-go v0.0.0-20240119011108-303da6aec611 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/gorilla/sessions v1.4.0 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace github.com/pagestate/pagestate => ../../
