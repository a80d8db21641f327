// A server of long connections as one finds it: one process, two listeners, one of them with TLS; whoever asks once stays connected.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
)

func main() {
	plain := flag.String("port", "8088", "TCP port on loopback, without TLS")
	secure := flag.String("tls-port", "9088", "TCP port on loopback, with TLS")
	certificate := flag.String("certificate", "certificate.pem", "file of the certificate, PEM")
	key := flag.String("key", "key.pem", "file of its key, PEM")
	flag.Parse()
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello\n")
	})
	go func() {
		log.Fatal(http.ListenAndServeTLS("127.0.0.1:"+*secure, *certificate, *key, nil))
	}()
	log.Fatal(http.ListenAndServe("127.0.0.1:"+*plain, nil))
}
