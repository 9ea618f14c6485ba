"""The server and page of `tween play`. Sees zoo, infer, video and core; trains nothing."""
