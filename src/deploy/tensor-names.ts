/** The names by which an application feeds and reads a frozen file. */
export const imageInput = 'image';
export const logitsOutput = 'logits';
export const probabilitiesOutput = 'probabilities';
