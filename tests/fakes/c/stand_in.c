/* A library with nothing in it: copied under another name, it is what the loader maps as that library. */
__attribute__((visibility("default"))) int stand_in(void) { return 0; }
