/** A wheel of a few bytes, made by Python's zipfile: a file as it is, a packed one, and a comment at the end. */
export const smallWheel = Buffer.from(
  'UEsDBBQAAAAAAIYbe11leNFaDwAAAA8AAAAPAAAAYS5kYXRhL25vdGUudHh0c3RvcmVkIGFzIGl0IGlzUEsDBBQAAAAIAIYbe130t1TAEQAAACwBAAAXAAAAYS5kYXRhL2xpYi9saWJkbm5sLnNvLjIz' +
    'MDQyNjE1M7ewNBhlEWABAFBLAQIUAxQAAAAAAIYbe11leNFaDwAAAA8AAAAPAAAAAAAAAAAAAACAAQAAAABhLmRhdGEvbm90ZS50eHRQSwECFAMUAAAACACGG3td9LdUwBEAAAAsAQAAFwAAAAAAAAAAAAAA' +
    'gAE8AAAAYS5kYXRhL2xpYi9saWJkbm5sLnNvLjJQSwUGAAAAAAIAAgCCAAAAggAAAA4AbWFkZSBieSBQeXRob24=',
  'base64',
);

export const smallWheelSha256 = 'd0ced14c34bf325308e96d14376e8e98224e31454a9e084e3ff6e87f9c503d2f';

/** Its packed file, and what is in it. */
export const smallLibrary = { entry: 'a.data/lib/libdnnl.so.2', text: '0123456789'.repeat(30) };
